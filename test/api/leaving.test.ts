/** What happens before a node leaves. */
import { expect, test } from "bun:test";
import { command, defineEntity, type Logger } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { failureOf } from "../drivers/nodes.ts";

const Counter = defineEntity("counter", {
  messages: { count: command<void, number>() },
  state: () => ({ n: 0 }),
  handlers: { count: ({ state }) => ++state.n },
});
const IDS = Array.from({ length: 20 }, (_, n) => `c-${n}`);
const ignore = (): void => {};
const forEver = (): Promise<void> => new Promise(() => {});

async function start(log?: Logger): Promise<TestCluster<readonly [typeof Counter]>> {
  const entities = [Counter] as const;
  return TestCluster.start({ entities, shardCount: 16, nodes: 2, ...(log && { log }) });
}

test("beforeStop() runs while the node still serves and others know it", async () => {
  await using cluster = await start();
  const [n1, n2] = [cluster.node("n1"), cluster.node("n2")];
  const seen: unknown[] = [];
  n2.beforeStop(async () => {
    for (const id of IDS) seen.push(await n2.entity(Counter, id).send({ type: "count" }));
    seen.push(n1.nodes.map(({ node, state }) => [node, state]));
  });
  await cluster.leave("n2");
  const up = [
    ["n1", "up"],
    ["n2", "up"],
  ];
  expect(seen).toEqual([...IDS.map(() => 1), up]);
  const left = IDS.map((id) => n1.entity(Counter, id).send({ type: "count" }));
  expect(await cluster.run(Promise.all(left))).toEqual(IDS.map(() => 2));
});

test("beforeStop() runs all at once, each but once, and none that was taken back", async () => {
  await using cluster = await start();
  const node = cluster.node("n1");
  const began: string[] = [];
  const both = Promise.withResolvers<void>();
  const hook = (name: string) => (): Promise<void> => {
    if (began.push(name) === 2) both.resolve();
    return both.promise;
  };
  node.beforeStop(hook("a"));
  node.beforeStop(hook("b"));
  node.beforeStop(hook("c"))();
  await cluster.run(Promise.all([node.stop(), node.stop()]));
  expect(began).toEqual(["a", "b"]);
});

test("a beforeStop() that fails is logged, and keeps nobody from leaving", async () => {
  const logged: unknown[] = [];
  const error = ({ err }: { err?: unknown }): void => void logged.push(err);
  await using cluster = await start({ debug: ignore, info: ignore, warn: ignore, error });
  const node = cluster.node("n2");
  const [thrown, rejected] = [new Error("thrown"), new Error("rejected")];
  node.beforeStop(() => {
    throw thrown;
  });
  node.beforeStop(() => Promise.reject(rejected));
  await cluster.leave("n2");
  expect(logged).toEqual([thrown, rejected]);
  expect(cluster.node("n1").nodes.map(({ node }) => node)).toEqual(["n1"]);
});

test("a beforeStop() that never ends leaves half of the deadline for handing over", async () => {
  await using cluster = await start();
  const [n1, n2] = [cluster.node("n1"), cluster.node("n2")];
  const count = (): Promise<number[]> =>
    cluster.run(Promise.all(IDS.map((id) => n2.entity(Counter, id).send({ type: "count" }))));
  expect(await count()).toEqual(IDS.map(() => 1));
  n2.beforeStop(forEver);
  const beganMs = cluster.nowMs;
  await cluster.run(n2.stop({ deadline: "4s" }));
  const tookMs = cluster.nowMs - beganMs;
  expect([tookMs >= 2_000, tookMs < 4_000]).toEqual([true, true]);
  // Handed over, not lost with a node that ran out of time.
  const left = IDS.map((id) => n1.entity(Counter, id).send({ type: "count" }));
  expect(await cluster.run(Promise.all(left))).toEqual(IDS.map(() => 2));
});

test("a beforeStop() may ask for the stop that has begun", async () => {
  await using cluster = await start();
  const node = cluster.node("n1");
  const ends: Promise<void>[] = [];
  node.beforeStop(() => void ends.push(node.stop()));
  await cluster.run(node.stop());
  await Promise.all(ends);
  expect(ends.length).toBe(1);
});

test("beforeStop() takes functions only", async () => {
  await using cluster = await start();
  const close = "close" as unknown as () => void;
  expect(() => cluster.node("n1").beforeStop(close)).toThrow(TypeError);
});

test("a deadline that is none is refused before anything ends", async () => {
  await using cluster = await start();
  const node = cluster.node("n1");
  expect(() => node.stopOnSignals({ deadline: "soon" as "1s" })).toThrow(TypeError);
  const stopping = async (): Promise<void> => node.stop({ deadline: "soon" as "1s" });
  expect(await failureOf(stopping())).toBeInstanceOf(TypeError);
  const answer = node.entity(Counter, "x").send({ type: "count" });
  expect(await cluster.run(answer)).toBe(1);
});
