/** `catga/testing` as its users write it: what a cluster does, in time that they own. */
import { describe, expect, test } from "bun:test";
import { type ClusterEvents, command, defineEntity, query } from "../../src/index.ts";
import { TestCluster, type TestOptions } from "../../src/testing/index.ts";

const Counter = defineEntity("counter", {
  messages: { add: command<{ n: number }, number>(), where: query<void, string>() },
  state: () => ({ count: 0 }),
  handlers: {
    add: (ctx, { n }) => (ctx.state.count += n),
    where: (ctx) => ctx.node,
  },
});
const entities = [Counter] as const;
const IDS = Array.from({ length: 24 }, (_, n) => `c-${n}`);

type Counters = TestCluster<typeof entities>;

const start = (options: TestOptions<typeof entities> = {}): Promise<Counters> =>
  TestCluster.start({ entities, shardCount: 64, ...options });

/** Adds one to every counter, from `from`; what each answered, or the code of its error. */
function addAll(cluster: Counters, from: string): Promise<unknown[]> {
  const calls = IDS.map((id) =>
    cluster.node(from).entity(Counter, id).send({ type: "add", n: 1 }).catch(codeOf),
  );
  return cluster.run(Promise.all(calls));
}

function codeOf(error: { readonly code?: string }): string | undefined {
  return error.code;
}

async function nodesOf(cluster: Counters, from: string): Promise<Set<string>> {
  const calls = IDS.map((id) => cluster.node(from).entity(Counter, id).send({ type: "where" }));
  return new Set(await cluster.run(Promise.all(calls)));
}

/** When a cluster of this seed has answered some calls. */
async function timeOf(seed: number): Promise<number> {
  await using cluster = await start({ seed });
  await addAll(cluster, "n2");
  return cluster.nowMs;
}

/** Everything of some types that happens from now on. */
function record<T extends keyof ClusterEvents>(
  cluster: Counters,
  name: string,
  types: readonly T[],
) {
  const seen: { readonly type: T; readonly event: ClusterEvents[T] }[] = [];
  for (const type of types) cluster.node(name).on(type, (event) => seen.push({ type, event }));
  return seen;
}

describe("a cluster in simulated time", () => {
  test("loses nothing when nodes join and leave", async () => {
    await using cluster = await start({ nodes: 2 });
    expect(await addAll(cluster, "n1")).toEqual(IDS.map(() => 1));
    await cluster.join("n3");
    await cluster.advance("1s");
    expect(await addAll(cluster, "n3")).toEqual(IDS.map(() => 2));
    expect(await nodesOf(cluster, "n1")).toEqual(new Set(["n1", "n2", "n3"]));
    await cluster.leave("n1");
    expect(await addAll(cluster, "n2")).toEqual(IDS.map(() => 3));
    expect(await nodesOf(cluster, "n2")).toEqual(new Set(["n2", "n3"]));
  });

  test("goes on without a node that is killed, within a second", async () => {
    await using cluster = await start();
    await cluster.advance("1s");
    await addAll(cluster, "n1");
    const events = record(cluster, "n1", ["node-left"]);
    cluster.kill("n3");
    await cluster.advance(1_000);
    expect(events).toEqual([{ type: "node-left", event: { node: "n3", reason: "failed" } }]);
    const counts = await addAll(cluster, "n1");
    // What lived on n3 began anew: its state was in memory only.
    expect(new Set(counts)).toEqual(new Set([1, 2]));
    expect(await nodesOf(cluster, "n1")).toEqual(new Set(["n1", "n2"]));
  });

  test("fences a node that was stopped for longer than its lease", async () => {
    await using cluster = await start();
    await cluster.advance("1s");
    await addAll(cluster, "n1");
    cluster.pause("n2");
    expect(cluster.leaseHolds("n2")).toBe(true);
    await cluster.advance("2s");
    expect(cluster.leaseHolds("n2")).toBe(false);
    expect(await nodesOf(cluster, "n1")).toEqual(new Set(["n1", "n3"]));
    cluster.resume("n2");
    await cluster.advance("100ms");
    const late = cluster.node("n2").entity(Counter, "c-1").send({ type: "add", n: 1 });
    expect(await cluster.run(late.catch(codeOf))).toBe("UNAVAILABLE");
    expect(cluster.node("n1").nodes.map(({ node }) => node)).toEqual(["n1", "n3"]);
  });

  test("suspends what is cut off the authority, and resumes it with its memory", async () => {
    await using cluster = await start();
    await cluster.advance("1s");
    await addAll(cluster, "n1");
    cluster.isolate("n1", "n2", "n3");
    await cluster.advance("5s");
    for (const name of cluster.names) expect(cluster.leaseHolds(name)).toBe(false);
    const waiting = cluster.node("n1").entity(Counter, "c-1").send({ type: "add", n: 1 });
    cluster.heal();
    await cluster.advance("1s");
    // Nobody was killed for not having been able to renew (L6).
    expect(cluster.node("n1").nodes.length).toBe(3);
    expect(await cluster.run(waiting)).toBe(2);
  });

  test("fences every node when the authority has lost what it acknowledged", async () => {
    await using cluster = await start();
    await cluster.advance("1s");
    await addAll(cluster, "n1");
    cluster.isolate("n3");
    cluster.restore();
    await cluster.join("n4");
    // Before anybody may act for the new authority, everybody else has ceased to.
    expect(cluster.names.filter((name) => cluster.leaseHolds(name))).toEqual(["n4"]);
    expect(cluster.node("n4").nodes.map(({ node }) => node)).toEqual(["n4"]);
    cluster.heal();
    await cluster.advance("10ms");
    for (const name of ["n1", "n2", "n3"]) {
      expect(new Set(await addAll(cluster, name))).toEqual(new Set(["UNAVAILABLE"]));
    }
    expect(await addAll(cluster, "n4")).toEqual(IDS.map(() => 1));
  });

  test("ends a node at once that is fenced while it leaves: it writes nothing more", async () => {
    await using cluster = await start({ nodes: 1 });
    await cluster.advance("1s");
    const joining = cluster.backup();
    await cluster.join("n2");
    // Its flips are under way, and not answered, when the authority goes back to before them.
    cluster.authority({ drop: 1 });
    await cluster.advance("150ms");
    const stopping = cluster.node("n1").stop({ deadline: "1m" });
    cluster.restore(joining);
    cluster.authority({});
    const sinceMs = cluster.nowMs;
    await cluster.run(stopping);
    expect(cluster.nowMs - sinceMs).toBeLessThan(1_000);
    await cluster.advance("5s");
    const later = cluster.backup().filter((record) => !joining.includes(record));
    expect(later.filter(({ operation }) => operation.startsWith("n1."))).toEqual([]);
  });

  test("delivers everything once over a network that loses, doubles and delays", async () => {
    const network = { drop: 0.2, duplicate: 0.2, delay: [0, 80] } as const;
    await using cluster = await start({ network, heartbeat: "normal", seed: 5 });
    await cluster.advance("2s");
    for (let round = 1; round <= 3; round++) {
      expect(await addAll(cluster, `n${round}`)).toEqual(IDS.map(() => round));
    }
  });

  test("is the same with the same seed, and another with another", async () => {
    expect(await timeOf(7)).toBe(await timeOf(7));
    expect(await timeOf(7)).not.toBe(await timeOf(8));
  });

  test("keeps calls of a partition waiting until it heals", async () => {
    await using cluster = await start({ heartbeat: "normal" });
    await cluster.advance("1s");
    cluster.partition(["n1"], ["n2", "n3"]);
    const id = IDS.find((each) => cluster.node("n1").owner("counter", each)?.node === "n3")!;
    const answer = cluster.node("n1").entity(Counter, id).send({ type: "add", n: 1 });
    const outcome = { isSettled: false };
    answer.then(() => (outcome.isSettled = true)).catch(() => {});
    await cluster.advance("2s");
    expect(outcome.isSettled).toBe(false);
    cluster.heal();
    expect(await cluster.run(answer)).toBe(1);
  });
});

describe("cluster events", () => {
  test("tell every node of joins, moves and the leader", async () => {
    await using cluster = await start({ nodes: 1 });
    const events = record(cluster, "n1", ["node-joined", "leader-elected", "shard-rebalanced"]);
    await cluster.advance("1s");
    expect(events).toEqual([{ type: "leader-elected", event: { node: "n1" } }]);
    events.length = 0;
    await cluster.join("n2");
    await cluster.advance("1s");
    expect(events[0]).toEqual({
      type: "node-joined",
      event: { node: "n2", endpoint: undefined },
    });
    const moves = events.slice(1);
    expect(moves.length).toBeGreaterThan(64 / 3);
    for (const { type, event } of moves) {
      expect({ type, ...event }).toMatchObject({
        type: "shard-rebalanced",
        from: "n1",
        to: "n2",
        epoch: 2,
      });
    }
    cluster.kill("n1");
    await cluster.advance("2s");
    const after = record(cluster, "n2", ["leader-elected"]);
    await cluster.advance("1s");
    expect(after).toEqual([]);
  });

  test("tell of activations, and why they ended", async () => {
    await using cluster = await start({ nodes: 1 });
    const events = record(cluster, "n1", ["entity-activated", "entity-passivated"]);
    await addAll(cluster, "n1");
    expect(events.length).toBe(IDS.length);
    await cluster.join("n2");
    await cluster.advance("1s");
    const ended = events.filter(({ type }) => type === "entity-passivated");
    expect(ended.length).toBeGreaterThan(0);
    for (const { event } of ended)
      expect(event).toMatchObject({ name: "counter", reason: "moved" });
  });

  test("are refused by a name that there is not, and survive a listener that throws", async () => {
    await using cluster = await start({ nodes: 1 });
    const node = cluster.node("n1");
    expect(() => node.on("node-joinned" as never, () => {})).toThrow(TypeError);
    const heard: string[] = [];
    node.on("node-joined", () => {
      throw new Error("a listener's own");
    });
    const off = node.on("node-joined", (event) => heard.push(event.node));
    await cluster.join("n2");
    off();
    await cluster.join("n3");
    expect(heard).toEqual(["n2"]);
  });
});

describe("plan()", () => {
  test("says what a join and a leave would move, and moves nothing", async () => {
    await using cluster = await start({ nodes: 2 });
    await cluster.advance("1s");
    const before = IDS.map((id) => cluster.node("n1").owner("counter", id)?.node);
    const { moves, share } = cluster.node("n1").plan({ join: [{ node: "n3" }] });
    expect(moves.length).toBeGreaterThan(10);
    expect(new Set(moves.map(({ to }) => to))).toContain("n3");
    expect(Object.keys(share).sort()).toEqual(["n1", "n2", "n3"]);
    expect(Object.values(share).reduce((sum, each) => sum + each)).toBeCloseTo(1);
    expect(IDS.map((id) => cluster.node("n1").owner("counter", id)?.node)).toEqual(before);
    await cluster.join("n3");
    await cluster.advance("1s");
    expect(cluster.node("n1").plan({}).moves).toEqual([]);
    const left = cluster.node("n1").plan({ leave: ["n3"] });
    expect(new Set(left.moves.map(({ from }) => from))).toContain("n3");
    expect(left.moves.every(({ to }) => to !== "n3")).toBe(true);
  });

  test("refuses what makes no sense", async () => {
    await using cluster = await start({ nodes: 1 });
    const node = cluster.node("n1");
    expect(() => node.plan({ leave: ["n9"] })).toThrow(RangeError);
    expect(() => node.plan({ join: [{ node: "n1" }] })).toThrow(RangeError);
  });
});
