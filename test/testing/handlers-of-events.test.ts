/** Handlers of events: subscriptions from the start, with a context. */
import { expect, test } from "bun:test";
import { Cluster, command, defineEntity, defineEvent, handler } from "../../src/index.ts";
import { memory } from "../../src/drivers/memory/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";

const Told = defineEvent<{ n: number }>("story.told");
const Retold = defineEvent<{ n: number }>("story.retold");
const Listener = defineEntity("listener", {
  messages: { count: command<{ n: number }, number>() },
  state: () => ({ sum: 0 }),
  handlers: { count: ({ state }, { n }) => (state.sum += n) },
});

test("a handler of an event listens from the start, and may send and publish", async () => {
  const name = "handlers-of-events";
  const sums: number[] = [];
  const retold: number[] = [];
  const handlers = [
    handler(Told, async ({ n }, context) => {
      expect(context.node).toBe("first");
      sums.push(await context.entity(Listener, "1").send({ type: "count", n }));
      await context.publish(Retold({ n }));
    }),
  ];
  const options = { transport: memory(), name } as const;
  await using first = await Cluster.start({
    ...options,
    nodeId: "first",
    entities: [Listener],
    handlers,
  });
  await using second = await Cluster.start({ ...options, nodeId: "second" });
  second.subscribe(Retold, ({ n }) => void retold.push(n));
  await waitUntil("both know each other", () => first.nodes.length === 2);
  await first.publish(Told({ n: 1 }));
  await second.publish(Told({ n: 2 }));
  await waitUntil("both were retold", () => retold.length === 2);
  expect(sums).toEqual([1, 3]);
  expect(retold).toEqual([1, 2]);
});
