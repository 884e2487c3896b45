/** Nodes that leave while turns run, in simulated time. */
import { expect, test } from "bun:test";
import { command, defineEntity, isCatgaError, query } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";

const IDS = Array.from({ length: 40 }, (_, n) => `w-${n}`);

interface Work {
  sleep(node: string, ms: number): Promise<void>;
}

const work: { cluster: Work | undefined } = { cluster: undefined };

const Worker = defineEntity("worker", {
  messages: {
    add: command<void, number>(),
    /** Works for a minute, or until it is told to stop if it listens. */
    toil: command<{ listens: boolean }, string>({ timeout: "1h" }),
    count: query<void, number>(),
  },
  state: () => ({ count: 0 }),
  handlers: {
    add: (ctx) => ++ctx.state.count,
    async toil(ctx, { listens }) {
      for (let n = 0; n < 600; n++) {
        if (listens && ctx.signal.aborted) break;
        await work.cluster!.sleep(ctx.node, 100);
      }
      ctx.state.count += 10;
      return ctx.signal.aborted ? "gave up" : "done";
    },
    count: ({ state }) => state.count,
  },
});

async function start(): Promise<TestCluster<readonly [typeof Worker]>> {
  const cluster = await TestCluster.start({ entities: [Worker], nodes: 2, shardCount: 64 });
  work.cluster = cluster;
  await cluster.advance("1s");
  await cluster.run(
    Promise.all(IDS.map((id) => cluster.node("n1").entity(Worker, id).send({ type: "add" }))),
  );
  return cluster;
}

type Workers = Awaited<ReturnType<typeof start>>;

/** An entity of `node`, and all the others. */
function pick(cluster: Workers, node: string): [string, ...string[]] {
  const own = (id: string): boolean => cluster.node("n1").owner("worker", id)?.node === node;
  const busy = IDS.find(own)!;
  return [busy, ...IDS.filter((id) => id !== busy)];
}

async function counts(cluster: Workers, ids: readonly string[]): Promise<number[]> {
  const refs = ids.map((id) => cluster.node("n1").entity(Worker, id));
  return cluster.run(Promise.all(refs.map((ref) => ref.send({ type: "count" }))));
}

test("a turn that listens gives up at half of the deadline, and its entity moves", async () => {
  await using cluster = await start();
  const [busy, ...others] = pick(cluster, "n2");
  const stuck: string[] = [];
  cluster.node("n2").on("stuck", ({ what, sinceMs }) => stuck.push(`${what} ${sinceMs}`));
  const toil = cluster.node("n1").entity(Worker, busy).send({ type: "toil", listens: true });
  await cluster.advance(50);
  const startMs = cluster.nowMs;
  const left = cluster.run(cluster.node("n2").stop({ deadline: "10s" }));
  expect(await cluster.run(toil)).toBe("gave up");
  await left;
  expect(cluster.nowMs - startMs).toBeWithin(4_900, 6_000);
  expect(stuck).toEqual([`a turn of worker/${busy}, which keeps this node from leaving 4900`]);
  expect(await counts(cluster, [busy, ...others])).toEqual([11, ...others.map(() => 1)]);
});

test("a turn that does not listen is cut off at the deadline; others have moved", async () => {
  await using cluster = await start();
  const [busy] = pick(cluster, "n2");
  const shard = cluster.node("n1").owner("worker", busy)!.shard;
  const elsewhere = IDS.filter((id) => cluster.node("n1").owner("worker", id)?.shard !== shard);
  const toil = cluster.node("n1").entity(Worker, busy).send({ type: "toil", listens: false });
  await cluster.advance(50);
  const startMs = cluster.nowMs;
  const stopped = cluster.node("n2").stop({ deadline: "4s" });
  const outcome = await cluster.run(toil.catch((error: unknown) => error));
  expect(isCatgaError(outcome, "OUTCOME_UNKNOWN")).toBe(true);
  await cluster.run(stopped);
  expect(cluster.nowMs - startMs).toBeWithin(3_700, 4_100);
  expect(await counts(cluster, elsewhere)).toEqual(elsewhere.map(() => 1));
  // What was in memory of the shard itself is gone with the node.
  expect(await counts(cluster, [busy])).toEqual([0]);
});

test("a turn that lasts keeps its shard from moving, and its neighbours are served", async () => {
  await using cluster = await start();
  const [busy] = pick(cluster, "n1");
  const { shard } = cluster.node("n1").owner("worker", busy)!;
  const toil = cluster.node("n1").entity(Worker, busy).send({ type: "toil", listens: false });
  await cluster.advance(50);
  const neighbour = `n-${Array.from({ length: 5_000 }, (_, n) => n).find(
    (n) => cluster.node("n1").owner("worker", `n-${n}`)?.shard === shard,
  )}`;
  // More weight elsewhere: everything wants to move.
  await cluster.join("n3", { weight: 100 });
  await cluster.advance("5s");
  const at = (id: string): string | undefined => cluster.node("n3").owner("worker", id)?.node;
  expect(at(busy)).toBe("n1");
  expect(IDS.filter((id) => at(id) === "n3").length).toBeGreaterThan(20);
  const startMs = cluster.nowMs;
  for (let n = 1; n <= 20; n++) {
    const ref = cluster.node("n3").entity(Worker, neighbour);
    expect(await cluster.run(ref.send({ type: "add" }))).toBe(n);
  }
  // Sealed for 50 ms of 250 ms at most.
  expect(cluster.nowMs - startMs).toBeLessThan(2_000);
  await cluster.advance("1m");
  expect(await cluster.run(toil)).toBe("done");
  await cluster.advance("1s");
  expect(at(busy)).toBe("n3");
  expect(await counts(cluster, [busy, neighbour])).toEqual([11, 20]);
});

/** What keeps a node from leaving in order. */
const hindrances: readonly [what: string, happens: (cluster: Workers) => void][] = [
  ["the authority does not answer", (cluster) => cluster.isolate("n1", "n2")],
  ["the heir does not answer", (cluster) => cluster.partition(["n1"], ["n2"])],
  ["the heir was stopped", (cluster) => cluster.pause("n2")],
  ["the heir was killed", (cluster) => cluster.kill("n2")],
  ["the network loses everything", (cluster) => cluster.network({ drop: 1 })],
  ["its authority loses everything", (cluster) => cluster.authority({ drop: 1 })],
];
test.each([...hindrances])("stop() ends within its deadline when %s", async (_, happens) => {
  await using cluster = await start();
  happens(cluster);
  const calls = IDS.map((id) =>
    cluster.node("n1").entity(Worker, id).send({ type: "add" }).catch(String),
  );
  const startMs = cluster.nowMs;
  await cluster.run(cluster.node("n1").stop({ deadline: "2s" }));
  expect(cluster.nowMs - startMs).toBeLessThanOrEqual(2_000);
  // Every call has ended too, one way or another.
  await cluster.run(Promise.all(calls));
  expect(cluster.nowMs - startMs).toBeLessThanOrEqual(2_000);
  cluster.network({});
  cluster.authority({});
});

test("stop() ends at once on the last node, and twice is once", async () => {
  await using cluster = await start();
  await cluster.leave("n2");
  const startMs = cluster.nowMs;
  const node = cluster.node("n1");
  await cluster.run(Promise.all([node.stop(), node.stop({ deadline: "1h" })]));
  expect(cluster.nowMs - startMs).toBeLessThan(500);
});

test("stop() ends while its node tries in vain to join anew", async () => {
  await using cluster = await start();
  cluster.pause("n2");
  await cluster.advance("2s");
  // So slow that it finds out, and is cut off while it joins.
  cluster.authority({ delay: [50, 60] });
  cluster.resume("n2");
  await cluster.advance(100);
  cluster.isolate("n2");
  await cluster.advance("3s");
  const [id] = IDS;
  const refused = cluster.node("n2").entity(Worker, id!).send({ type: "add" });
  const code = refused.catch((error: unknown) => isCatgaError(error) && error.code);
  expect(await cluster.run(code)).toBe("UNAVAILABLE");
  const startMs = cluster.nowMs;
  await cluster.run(cluster.node("n2").stop({ deadline: "1s" }));
  expect(cluster.nowMs - startMs).toBeLessThanOrEqual(1_000);
  cluster.heal();
  cluster.authority({});
  await cluster.advance("30s");
  expect(cluster.node("n1").nodes.map(({ node }) => node)).toEqual(["n1"]);
});
