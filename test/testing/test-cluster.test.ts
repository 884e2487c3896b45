/** `catga/testing` as its users write it: what a cluster does, in time that they own. */
import { describe, expect, test } from "bun:test";
import { addAll, Counter, IDS, nodesOf, record, start } from "./counters.ts";

/** When a cluster of this seed has answered some calls. */
async function timeOf(seed: number): Promise<number> {
  await using cluster = await start({ seed });
  await addAll(cluster, "n2");
  return cluster.nowMs;
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

  test("fences a node that was stopped for longer than its lease; it joins anew", async () => {
    await using cluster = await start();
    await cluster.advance("1s");
    await addAll(cluster, "n1");
    cluster.pause("n2");
    expect(cluster.leaseHolds("n2")).toBe(true);
    await cluster.advance("2s");
    expect(cluster.leaseHolds("n2")).toBe(false);
    expect(await nodesOf(cluster, "n1")).toEqual(new Set(["n1", "n3"]));
    const seen = record(cluster, "n2", ["node-joined", "node-left", "entity-activated"]);
    cluster.resume("n2");
    // It finds out before anything leaves it, but a caller of what lives elsewhere cannot know.
    const refused = await addAll(cluster, "n2");
    expect(new Set(refused)).toEqual(new Set(["UNAVAILABLE", "OUTCOME_UNKNOWN"]));
    const late = cluster.node("n2").entity(Counter, "c-1");
    expect(await cluster.run(late.send({ type: "add", n: 1 }, { retries: 9 }))).toBeGreaterThan(0);
    await cluster.advance("1s");
    expect(cluster.node("n1").nodes.map(({ node }) => node)).toEqual(["n1", "n2", "n3"]);
    expect(await nodesOf(cluster, "n2")).toEqual(new Set(["n1", "n2", "n3"]));
    // Of the others nobody came or went meanwhile, and listeners go on with the new node.
    expect(seen.slice(0, 2)).toEqual([
      { type: "node-left", event: { node: "n2", reason: "failed" } },
      { type: "node-joined", event: { node: "n2", endpoint: undefined } },
    ]);
    expect(new Set(seen.slice(2).map(({ type }) => type))).toEqual(new Set(["entity-activated"]));
    await cluster.leave("n2");
    await cluster.advance("100ms");
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

  test.each([700, 800, 900, 1_100])(
    "lets nobody die of an authority away for %d ms",
    async (ms) => {
      await using cluster = await start({ heartbeat: "fast" });
      // Leases of all phases: some last when the silence of others seems too long already.
      for (let round = 0; round < 12; round++) {
        await cluster.advance("1033ms");
        cluster.isolate("n1", "n2", "n3");
        await cluster.advance(ms);
        cluster.heal();
      }
      await cluster.advance("1s");
      for (const name of cluster.names) expect(cluster.node(name).nodes.length).toBe(3);
    },
  );

  test("ends every node when the authority lost what it knew, and all join anew", async () => {
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
    expect(new Set(await addAll(cluster, "n3"))).toEqual(new Set(["UNAVAILABLE"]));
    expect(await addAll(cluster, "n4")).toEqual(IDS.map(() => 1));
    await cluster.advance("2s");
    const names = ["n1", "n2", "n3", "n4"];
    expect(cluster.node("n3").nodes.map(({ node }) => node)).toEqual(names);
    expect(await addAll(cluster, "n1")).toEqual(IDS.map(() => 2));
    expect(await nodesOf(cluster, "n2")).toEqual(new Set(names));
  });

  test("takes nodes back whose sessions live on in what the authority still knows", async () => {
    await using cluster = await start();
    await cluster.advance("1s");
    cluster.restore(cluster.backup());
    await cluster.advance("4s");
    expect(cluster.node("n1").nodes.map(({ node }) => node)).toEqual(["n1", "n2", "n3"]);
    expect(await addAll(cluster, "n2")).toEqual(IDS.map(() => 1));
    expect(await nodesOf(cluster, "n3")).toEqual(new Set(["n1", "n2", "n3"]));
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

  test("goes on around a node that computes, whose own events wait, in their order", async () => {
    await using cluster = await start({ nodes: 2, heartbeat: "normal" });
    await cluster.advance("1s");
    const seen: string[] = [];
    const timers: Promise<number>[] = [];
    const note = (name: string, ms: number): void => {
      timers.push(cluster.sleep(name, ms).then(() => seen.push(`${name} after ${ms}`)));
    };
    const began = cluster.nowMs;
    for (const ms of [40, 20, 10, 30]) note("n1", ms);
    cluster.block("n1", 50);
    note("n1", 1);
    note("n2", 30);
    await cluster.advance(49);
    expect(seen).toEqual(["n2 after 30"]);
    await cluster.advance(3);
    await Promise.all(timers);
    expect(seen.slice(1)).toEqual([10, 20, 30, 40, 1].map((ms) => `n1 after ${ms}`));
    // What it sends when it has computed leaves then, not before.
    const id = IDS.find((each) => cluster.node("n1").owner("counter", each)?.node === "n2")!;
    cluster.block("n1", 50);
    const answer = cluster.node("n1").entity(Counter, id).send({ type: "add", n: 1 });
    expect(await cluster.run(answer)).toBe(1);
    expect(cluster.nowMs - began).toBeGreaterThan(100);
  });

  test("takes in nodes that host nothing, or something else", async () => {
    await using cluster = await start({ nodes: 1 });
    await cluster.join("caller", { entities: [] });
    await cluster.advance("1s");
    expect(await addAll(cluster, "caller")).toEqual(IDS.map(() => 1));
    expect(await nodesOf(cluster, "caller")).toEqual(new Set(["n1"]));
  });

  test("counts what it sends, and what it asks of the authority", async () => {
    await using cluster = await start({ nodes: 2 });
    await cluster.advance("1s");
    const before = cluster.traffic;
    await cluster.advance("1s");
    const idle = cluster.traffic;
    // Two nodes renew five times in a second, and hear of it; nobody sends anything.
    const [renewals, renewalNews] = [before.renewals + 10, before.renewalNews + 20];
    expect(idle).toEqual({ ...before, renewals, renewalNews });
    const id = IDS.find((each) => cluster.node("n1").owner("counter", each)?.node === "n2")!;
    await cluster.run(cluster.node("n1").entity(Counter, id).tell({ type: "add", n: 1 }));
    expect(cluster.traffic.frames).toBeGreaterThan(idle.frames);
    expect(cluster.traffic.frameBytes).toBeGreaterThan(idle.frameBytes + 50);
    const called = cluster.traffic;
    await cluster.join("n3");
    await cluster.advance("1s");
    const moves = cluster.traffic.compareAndSets - called.compareAndSets;
    // All three hear of each, and the one that joins was told of what was before.
    expect(cluster.traffic.news - called.news).toBeGreaterThan(2.9 * moves);
    expect(moves).toBeGreaterThan(64 / 4);
    expect(cluster.traffic.requests - called.requests).toBeLessThanOrEqual(moves);
    expect(cluster.traffic.snapshotRecords).toBeGreaterThan(called.snapshotRecords + 3);
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
