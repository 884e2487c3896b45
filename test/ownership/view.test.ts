/** What a node knows: whichever way news come, the newest of each record counts (O5). */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { View } from "../../src/ownership/view.ts";
import type { Entry } from "../../src/protocol/ledger.ts";
import type { AuthorityRecord, SessionRecord } from "../../src/protocol/records.ts";

function entry(key: string, revision: number, value: AuthorityRecord): Entry {
  return { key, revision, value, operation: `${key}@${revision}` };
}

function session(state: SessionRecord["state"], more: Partial<SessionRecord> = {}): SessionRecord {
  return {
    state,
    heartbeat: 0,
    node: "n",
    address: "",
    group: "g",
    weight: 1,
    leaseMs: 3_000,
    endpoint: null,
    runtime: "bun 1",
    load: { inFlight: 0, cpu: 0, memoryBytes: 0, messagesPerSecond: 0, eventLoopLagMs: 0 },
    ...more,
  };
}

function shard(owner: string | null, epoch: number): AuthorityRecord {
  return { owner, epoch, cleanSince: 1, handoff: null };
}

function entryOf([key, revision]: readonly [key: string, revision: number]): Entry {
  const isSession = key.startsWith("n");
  const value = isSession ? session("up", { heartbeat: revision }) : shard("a", revision);
  return entry(key, revision, value);
}

describe("a view", () => {
  test("ends up the same in whatever order and however often news come", () => {
    const keys = ["n.a", "n.b", "s.g.0", "s.g.1", "s.g.2"];
    const news = fc.uniqueArray(
      fc.tuple(fc.constantFrom(...keys), fc.integer({ min: 1, max: 30 })),
      {
        minLength: 1,
        maxLength: 30,
        selector: ([, revision]) => revision,
      },
    );
    const shuffled = news.chain((all) =>
      fc.tuple(
        fc.constant(all),
        fc.shuffledSubarray([...all, ...all], { minLength: 2 * all.length }),
      ),
    );
    fc.assert(
      fc.property(shuffled, ([all, arrivals]) => {
        const view = new View();
        const changes = arrivals.map((each) => [each, view.apply(entryOf(each))] as const);
        for (const key of keys) {
          const newest = Math.max(0, ...all.filter(([k]) => k === key).map(([, rev]) => rev));
          expect(view.entry(key)?.revision ?? 0).toBe(newest);
          if (!key.startsWith("s") || newest === 0) continue;
          expect(view.shard("g", Number(key.slice(4)))).toMatchObject({ revision: newest });
        }
        // What is said to have changed something is newer than all that was known of it.
        const seen = new Map<string, number>();
        for (const [[key, revision], change] of changes) {
          expect(change !== undefined).toBe(revision > (seen.get(key) ?? 0));
          seen.set(key, Math.max(revision, seen.get(key) ?? 0));
        }
      }),
      { numRuns: 500 },
    );
  });

  test("holds a shard's own record above that of its group's first node", () => {
    const view = new View();
    expect(view.shard("g", 5)).toBe(undefined);
    view.apply(entry("s.g.5", 9, shard("b", 2)));
    expect(view.shard("g", 6)).toBe(undefined);
    expect(view.apply(entry("g.g", 10, shard("a", 1)))).toEqual({ kind: "genesis", group: "g" });
    expect(view.shard("g", 6)).toEqual({ revision: 0, record: shard("a", 1) as never });
    expect(view.shard("g", 5)).toEqual({ revision: 9, record: shard("b", 2) as never });
    expect(view.shard("other", 5)).toBe(undefined);
  });

  test("names the group by its own dots and the shard behind them", () => {
    const view = new View();
    const change = view.apply(entry("s.a.b.7", 1, shard("a", 1)));
    expect(change).toEqual({ kind: "shard", group: "a.b", shard: 7, before: undefined });
    expect(view.shard("a.b", 7)?.record.owner).toBe("a");
  });

  test("takes nobody for gone whose session it has not seen (O1)", () => {
    const view = new View();
    expect(view.isGone("a")).toBe(false);
    for (const state of ["up", "leaving"] as const) {
      view.apply(entry("n.a", state === "up" ? 1 : 2, session(state)));
      expect(view.isGone("a")).toBe(false);
    }
    view.apply(entry("n.a", 3, session("dead")));
    expect(view.isGone("a")).toBe(true);
  });

  test("tells what a session was before", () => {
    const view = new View();
    const steps = ["up", "leaving", "left"] as const;
    const told = steps.map((state, n) => view.apply(entry("n.a", n + 1, session(state))));
    expect(told).toEqual([
      { kind: "session", incarnation: "a", before: undefined },
      { kind: "session", incarnation: "a", before: "up" },
      { kind: "session", incarnation: "a", before: "leaving" },
    ]);
  });

  test("gives shards to nodes of the group that are up, and lets those that leave act on", () => {
    const view = new View();
    const sessions: Record<string, SessionRecord> = {
      up: session("up", { node: "1", weight: 2 }),
      leaving: session("leaving", { node: "2" }),
      left: session("left", { node: "3" }),
      dead: session("dead", { node: "4" }),
      caller: session("up", { node: "5", group: null }),
      stranger: session("up", { node: "6", group: "h" }),
    };
    for (const [n, [id, record]] of Object.entries(sessions).entries()) {
      view.apply(entry(`n.${id}`, n + 1, record));
    }
    expect(view.targets("g")).toEqual([{ incarnation: "up", name: "1", weight: 2 }]);
    const alive = [...Object.keys(sessions), "nobody"].filter((id) => view.isAlive(id));
    expect(alive).toEqual(["up", "leaving", "caller", "stranger"]);
    expect([...view.living.keys()]).toEqual(alive);
    view.apply(entry("n.leaving", 9, session("left", { node: "2" })));
    view.apply(entry("n.up", 10, session("up", { node: "1", weight: 3 })));
    expect([...view.living.keys()]).toEqual(["up", "caller", "stranger"]);
    expect(view.targets("g")).toMatchObject([{ incarnation: "up", weight: 3 }]);
  });

  test("names those who live and have the same id, or keep the same entities elsewhere", () => {
    const view = new View();
    const sessions: Record<string, SessionRecord> = {
      same: session("up", { store: "ours", heartbeat: 1 }),
      "no store": session("up", { heartbeat: 1 }),
      "no group": session("up", { store: "theirs", heartbeat: 1, group: "h" }),
      dead: session("dead", { store: "theirs", heartbeat: 1 }),
      left: session("left", { store: "theirs", heartbeat: 1 }),
      older: session("up", { store: "theirs" }),
      renewed: session("up", { store: "theirs", heartbeat: 1 }),
      leaving: session("leaving", { store: "theirs" }),
      newer: session("up", { store: "theirs" }),
    };
    for (const [n, [id, record]] of Object.entries(sessions).entries()) {
      view.apply(entry(`n.${id}`, n + 1, record));
    }
    const older = ["older", "renewed", "leaving"];
    const ours = { node: "m", group: "g", store: "ours" };
    expect([...view.rivals(ours).keys()]).toEqual([...older, "newer"]);
    expect([...view.rivals(ours, 7).keys()]).toEqual(older);
    expect(view.rivals({ node: "m", group: "g" }).size).toBe(0);
    const living = ["same", "no store", "no group", ...older];
    expect([...view.rivals({ node: "n", group: null }, 7).keys()]).toEqual(living);
  });

  test("knows the group of an entity by the newest list alone", () => {
    const view = new View();
    view.apply(entry("groups", 5, { groups: { a: ["a", "b"], c: ["c"] } }));
    const known = ["a", "b", "c", "d"].map((name) => view.groupOf(name));
    expect(known).toEqual(["a", "a", "c", undefined]);
    expect(view.apply(entry("groups", 4, { groups: { d: ["d"] } }))).toBe(undefined);
    expect(view.groupOf("d")).toBe(undefined);
    view.apply(entry("groups", 6, { groups: { c: ["c"] } }));
    expect(view.groupOf("a")).toBe(undefined);
  });

  test("keeps a record of an unknown kind, and says nothing of it", () => {
    const view = new View();
    expect(view.apply(entry("x.y", 1, shard("a", 1)))).toBe(undefined);
    expect(view.entry("x.y")?.revision).toBe(1);
  });
});
