/** What a cluster tells of itself, in simulated time: its events, and what a change would move. */
import { describe, expect, test } from "bun:test";
import { addAll, IDS, record, start } from "./counters.ts";

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
