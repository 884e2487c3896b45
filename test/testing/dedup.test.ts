/** Commands that are sent more than once, while their entity moves, dies, or has too many. */
import { expect, test } from "bun:test";
import { DEDUP_ENTRIES_MAX, DEDUP_MS } from "../../src/base/limits.ts";
import { command, defineEntity, isCatgaError, query } from "../../src/index.ts";
import { TestCluster, type TestOptions } from "../../src/testing/index.ts";

const Till = defineEntity("till", {
  messages: {
    add: command<{ n: number }, number>(),
    /** Adds one after a while, and once more when its timer fires. */
    slow: command<{ ms: number }, number>(),
    later: command<{ ms: number }>(),
    fail: command(),
    void: command(),
    sum: query<void, { sum: number; node: string }>(),
  },
  state: () => ({ sum: 0 }),
  idle: "1s",
  handlers: {
    add: (ctx, { n }) => (ctx.state.sum += n),
    async slow(ctx, { ms }) {
      await wait(ctx.node, ms);
      return ++ctx.state.sum;
    },
    later: (ctx, { ms }) => void ctx.after(ms, { type: "add", n: 100 }),
    fail(ctx) {
      ctx.state.sum++;
      throw new Error("not today");
    },
    void: (ctx) => void ctx.state.sum++,
    sum: (ctx) => ({ sum: ctx.state.sum, node: ctx.node }),
  },
});
const entities = [Till] as const;
type Tills = TestCluster<typeof entities>;

const IDS = Array.from({ length: 24 }, (_, n) => `t-${n}`);
let wait: (node: string, ms: number) => Promise<void>;

async function start(options: TestOptions<typeof entities> = {}): Promise<Tills> {
  const cluster = await TestCluster.start({ entities, shardCount: 64, nodes: 1, ...options });
  wait = (node, ms) => cluster.sleep(node, ms);
  return cluster;
}

test("answers to commands with a key move with their entity, whatever they were", async () => {
  await using cluster = await start();
  const ref = (from: string, id: string) => cluster.node(from).entity(Till, id);
  const ask = async (from: string): Promise<unknown[]> => {
    const calls = IDS.flatMap((id, n) => [
      ref(from, id).send({ type: "add", n }, { idempotencyKey: "a" }),
      ref(from, id).send({ type: "void" }, { idempotencyKey: "a" }),
      ref(from, id)
        .send({ type: "fail" }, { idempotencyKey: "a" })
        .catch((error: unknown) => isCatgaError(error, "HANDLER_FAILED") && error.details.text),
    ]);
    return cluster.run(Promise.all(calls));
  };
  const expected = IDS.flatMap((_, n) => [n, undefined, "not today"]);
  expect(await ask("n1")).toEqual(expected);
  await cluster.join("n2");
  await cluster.advance("1s");
  const moved = IDS.filter((id) => cluster.node("n1").owner("till", id)?.node === "n2");
  expect(moved.length).toBeGreaterThan(5);
  expect(await ask("n1")).toEqual(expected);
  expect(await ask("n2")).toEqual(expected);
  await cluster.leave("n1");
  expect(await ask("n2")).toEqual(expected);
  const sums = await cluster.run(Promise.all(IDS.map((id) => ref("n2", id).send({ type: "sum" }))));
  expect(sums).toEqual(IDS.map((_, n) => ({ sum: n + 2, node: "n2" })));
});

test("a command that is tried again while it waits and moves runs once", async () => {
  const network = { drop: 0.05, duplicate: 0.1, delay: [1, 20] } as const;
  await using cluster = await start({ nodes: 2, network });
  await cluster.advance("1s");
  const calls: Promise<number>[] = [];
  const ids = Array.from({ length: 96 }, (_, n) => `m-${n}`);
  const options = { timeout: 80, retries: 30 };
  for (const [n, id] of ids.entries()) {
    const ref = cluster.node(n % 2 === 0 ? "n1" : "n2").entity(Till, id);
    // The first keeps the entity busy for longer than the others wait at a time.
    calls.push(ref.send({ type: "slow", ms: 30 + 3 * n }, options));
    calls.push(ref.send({ type: "slow", ms: 30 }, options));
    calls.push(ref.send({ type: "add", n: 1 }, options));
  }
  await cluster.join("n3");
  const answers = await cluster.run(Promise.all(calls));
  for (const [n, id] of ids.entries()) {
    expect(answers.slice(3 * n, 3 * n + 3).toSorted((a, b) => a - b)).toEqual([1, 2, 3]);
    const sum = await cluster.run(cluster.node("n3").entity(Till, id).send({ type: "sum" }));
    expect(sum.sum).toBe(3);
  }
});

test("a command that waits is still known by its key when it has moved", async () => {
  await using cluster = await start();
  const caller = await cluster.join("caller", { entities: [] });
  const ids = Array.from({ length: 96 }, (_, n) => `w-${n}`);
  const add = (id: string) =>
    caller.entity(Till, id).send({ type: "add", n: 1 }, { idempotencyKey: "k" });
  // Turns of many lengths: some end while their shard is sealed, and the next message travels.
  const busy = ids.map((id, n) => caller.entity(Till, id).send({ type: "slow", ms: 4 * n }));
  const first = ids.map(add);
  await cluster.join("n2");
  await cluster.run(Promise.all(busy));
  const again = ids.map(add);
  const expected = ids.map(() => 2);
  expect(await cluster.run(Promise.all(first))).toEqual(expected);
  expect(await cluster.run(Promise.all(again))).toEqual(expected);
});

test("a command that may have run on a node that died is not sent again", async () => {
  await using cluster = await start({ nodes: 3 });
  await cluster.advance("1s");
  const outcomes = IDS.map((id) =>
    cluster
      .node("n1")
      .entity(Till, id)
      .send({ type: "slow", ms: 300 }, { timeout: 100, retries: 50 })
      .catch((error: unknown) => isCatgaError(error) && error.code),
  );
  const doomed = IDS.map((id) => cluster.node("n1").owner("till", id)?.node === "n3");
  await cluster.advance(250);
  cluster.kill("n3");
  const found = await cluster.run(Promise.all(outcomes));
  expect(found).toEqual(doomed.map((isDoomed) => (isDoomed ? "OUTCOME_UNKNOWN" : 1)));
  expect(doomed).toContain(true);
  // A query may run as often as it likes, and what certainly did not run is sent again.
  const after = IDS.map((id) => {
    const ref = cluster.node("n1").entity(Till, id);
    return ref.send({ type: "sum" }, { timeout: 200, retries: 20 });
  });
  const sums = (await cluster.run(Promise.all(after))).map(({ sum }) => sum);
  expect(sums).toEqual(doomed.map((isDoomed) => (isDoomed ? 0 : 1)));
});

test("a full window refuses, and has room again when answers are old", async () => {
  await using cluster = await start();
  const ref = cluster.node("n1").entity(Till, "busy");
  const add = (key: number) =>
    cluster.run(ref.send({ type: "add", n: 1 }, { idempotencyKey: `${key}` }));
  for (let key = 0; key < DEDUP_ENTRIES_MAX; key++) await add(key);
  const refused = add(DEDUP_ENTRIES_MAX);
  expect(await refused.catch((error: unknown) => isCatgaError(error, "OVERLOADED"))).toBe(true);
  expect(await add(0)).toBe(1);
  // The entity stays in memory for as long as it remembers, whatever its idle time is.
  await cluster.advance(DEDUP_MS - 60_000);
  expect(await add(1)).toBe(2);
  await cluster.advance(120_000);
  expect((await cluster.run(ref.send({ type: "sum" }))).sum).toBe(0);
  expect(await add(0)).toBe(1);
});

test("timers move with their entity, also at times that are no whole milliseconds", async () => {
  await using cluster = await start({ clock: { rate: 1.0037 } });
  const refs = (from: string) => IDS.map((id) => cluster.node(from).entity(Till, id));
  await cluster.run(Promise.all(refs("n1").map((ref) => ref.send({ type: "later", ms: 4_000 }))));
  await cluster.join("n2");
  await cluster.leave("n1");
  const sums = async () => {
    const all = await cluster.run(Promise.all(refs("n2").map((ref) => ref.send({ type: "sum" }))));
    return all.map(({ sum }) => sum);
  };
  expect(await sums()).toEqual(IDS.map(() => 0));
  await cluster.advance("5s");
  expect(await sums()).toEqual(IDS.map(() => 100));
});
