/** What is stored of turns that throw, and of state whose shape has changed without more ado. */
import { afterEach, expect, test } from "bun:test";
import { memory } from "../../src/drivers/memory/index.ts";
import { memoryStore } from "../../src/drivers/memory/store.ts";
import { Cluster, command, defineEntity, query } from "../../src/index.ts";
import { failureOf, stopAll, stopped } from "../drivers/nodes.ts";

afterEach(stopAll);

function countOf(version: number) {
  return defineEntity("count", {
    messages: { addAndThrow: command(), get: query<void, number>() },
    persistence: "write-through",
    version,
    state: () => ({ n: 0 }),
    handlers: {
      addAndThrow({ state }) {
        state.n++;
        throw new Error("after the change");
      },
      get: ({ state }) => state.n,
    },
  });
}

test("what a handler has changed before it throws stays, and newer code takes it on", async () => {
  const store = memoryStore();
  const start = (version: number) =>
    stopped(Cluster.start({ transport: memory(), store, entities: [countOf(version)] }));
  const first = await start(1);
  const count = first.entity("count", "a");
  const failure = await failureOf(count.send({ type: "addAndThrow" }));
  expect(failure).toMatchObject({ code: "HANDLER_FAILED" });
  expect(await count.send({ type: "get" })).toBe(1);
  await first.stop();
  const second = await start(2);
  expect(await second.entity("count", "a").send({ type: "get" })).toBe(1);
});
