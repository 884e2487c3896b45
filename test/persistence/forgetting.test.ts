/** What becomes of entities when their store has forgotten, in simulated time. */
import { expect, test } from "bun:test";
import { memory } from "../../src/drivers/memory/index.ts";
import { memoryStore } from "../../src/drivers/memory/store.ts";
import { Cluster, command, defineEntity, query } from "../../src/index.ts";
import type { StoreDriver } from "../../src/ports/store.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { failureOf, stopped } from "../drivers/nodes.ts";

const Sum = defineEntity("sum", {
  messages: {
    add: command<{ n: number }, number>(),
    look: query<void, number>(),
    delete: command(),
  },
  persistence: "write-through",
  idle: "400d",
  state: () => ({ sum: 0 }),
  handlers: {
    add: ({ state }, { n }) => (state.sum += n),
    look: ({ state }) => state.sum,
    delete: (ctx) => ctx.delete(),
  },
});

type Message = { readonly type: "add"; readonly n: number } | { readonly type: "look" | "delete" };

async function start() {
  // Few renewals and one shard, or the simulation has too much to do.
  const heartbeat = { every: "10m", timeout: "40m" } as const;
  const cluster = await TestCluster.start({ nodes: 1, entities: [Sum], heartbeat, shardCount: 1 });
  const ask = (id: string, message: Message, options = {}): Promise<unknown> =>
    cluster.run(
      cluster
        .node("n1")
        .entity(Sum, id)
        .send(message as never, options),
    );
  return { cluster, ask, [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose]() };
}

test("an entity that was deleted and is in memory for weeks is stored again", async () => {
  await using kept = await start();
  const { cluster, ask } = kept;
  await ask("a", { type: "add", n: 5 });
  await ask("a", { type: "delete" });
  expect(await ask("a", { type: "look" })).toBe(0);
  expect(cluster.stored("sum", "a")).toMatchObject({ version: 2, data: undefined });
  await cluster.advance("8d");
  await ask("b", { type: "add", n: 1 });
  expect(cluster.stored("sum", "a")).toBeUndefined();
  expect(await ask("a", { type: "add", n: 3 })).toBe(3);
  expect(await ask("a", { type: "add", n: 3 })).toBe(6);
  expect(cluster.stored("sum", "a")).toMatchObject({ version: 2 });
}, 60_000);

test("an entity whose record is gone without having been deleted ends", async () => {
  const inner = memoryStore();
  let isEmptied = false;
  const store: StoreDriver = {
    name: "emptied",
    async open(context) {
      const opened = await inner.open(context);
      return {
        ...opened,
        async write(writes) {
          if (!isEmptied) return opened.write(writes);
          return writes.map(() => ({ ok: false, current: undefined }));
        },
      };
    },
  };
  const options = { transport: memory() as never, store, shardCount: 16 };
  const node = await stopped(Cluster.start({ ...options, entities: [Sum] }));
  const ref = node.entity(Sum, "a");
  expect(await ref.send({ type: "add", n: 1 })).toBe(1);
  isEmptied = true;
  expect(await failureOf(ref.send({ type: "add", n: 1 }))).toMatchObject({
    code: "OUTCOME_UNKNOWN",
  });
  isEmptied = false;
  expect(await ref.send({ type: "look" })).toBe(1);
  await node.stop();
});

test("answers whose time is over leave the record with the next write", async () => {
  await using kept = await start();
  const { cluster, ask } = kept;
  const answersStored = (): number => {
    const data = cluster.stored("sum", "a")!.data!;
    const { answers } = JSON.parse(data.slice(data.indexOf("{"))) as { answers: unknown[] };
    return answers.length;
  };
  for (let n = 0; n < 20; n++) {
    await ask("a", { type: "add", n: 1 }, { idempotencyKey: `k${n}` });
  }
  expect(answersStored()).toBe(20);
  await cluster.advance("9m");
  await ask("a", { type: "add", n: 1 });
  expect(answersStored()).toBe(20);
  await cluster.advance("2m");
  await ask("a", { type: "add", n: 1 });
  expect(answersStored()).toBe(0);
});
