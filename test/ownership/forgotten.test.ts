/** Sessions whose keys were given to others: what a node knows of them, and may conclude. */
import { describe, expect, test } from "bun:test";
import { SESSION_FORGOTTEN_MS } from "../../src/base/limits.ts";
import { systemRandom } from "../../src/base/random.ts";
import { View } from "../../src/ownership/view.ts";
import { incarnationOf } from "../../src/protocol/ids.ts";
import type { Entry } from "../../src/protocol/ledger.ts";
import type { AuthorityRecord, SessionRecord } from "../../src/protocol/records.ts";

const LONG_MS = SESSION_FORGOTTEN_MS;

function entry(key: string, revision: number, value: AuthorityRecord): Entry {
  return { key, revision, value, operation: `${key}@${revision}` };
}

function session(incarnation: string, more: Partial<SessionRecord> = {}): SessionRecord {
  const load = { inFlight: 0, cpu: 0, memoryBytes: 0, messagesPerSecond: 0, eventLoopLagMs: 0 };
  const fixed = { heartbeat: 0, address: "", group: "g", weight: 1, leaseMs: 800, endpoint: null };
  const own = { incarnation, node: incarnation, state: "up" } as const;
  return { ...fixed, ...own, runtime: "bun 1", load, ...more };
}

function over(incarnation: string, overMs: number): SessionRecord {
  return session(incarnation, { state: "dead", overMs });
}

function shard(owner: string): AuthorityRecord {
  return { owner, epoch: 1, cleanSince: 1, handoff: null };
}

/** A view that was told all of `entries`. */
function told(...entries: readonly Entry[]): View {
  const view = new View();
  for (const each of entries) view.apply(each);
  view.told(entries);
  return view;
}

describe("a key may be given to another node", () => {
  const sessions = [
    entry("n.a", 4, over("a", 0)),
    entry("n.b", 3, over("b", 0)),
    entry("n.c", 5, over("c", 0)),
  ];

  test("when its session has been over for long, the first one before all others", () => {
    expect(told(...sessions).forgettable(LONG_MS + 1, 2)).toMatchObject({
      key: "n.b",
      revision: 3,
    });
    expect(told(...sessions).forgettable(LONG_MS, 2)).toBe(undefined);
  });

  test("when enough sessions were over after it", () => {
    expect(told(...sessions).forgettable(LONG_MS + 1, 3)).toBe(undefined);
    expect(told(...sessions).forgettable(LONG_MS + 1, 1_000)).toBe(undefined);
  });

  test("when it is known since when its session is over", () => {
    const older = entry("n.0", 1, session("0", { state: "dead" }));
    const alive = entry("n.1", 2, session("1"));
    const view = told(older, alive, ...sessions);
    expect(view.forgettable(Number.MAX_VALUE, 2)?.key).toBe("n.b");
  });

  test("and later to the next one, whoever stood there", () => {
    const view = told(...sessions, entry("n.b", 6, over("x", 7)));
    expect(view.forgettable(LONG_MS + 8, 1)?.key).toBe("n.a");
    expect(view.sessions.get("x")).toMatchObject({ key: "n.b", revision: 6 });
  });
});

describe("a session whose key another one has", () => {
  test("is forgotten", () => {
    const view = told(entry("n.a", 1, session("a")), entry("n.a", 2, over("a", 0)));
    expect(view.apply(entry("n.a", 3, session("b")))).toEqual({
      kind: "session",
      incarnation: "b",
      before: undefined,
    });
    expect([...view.sessions.keys()]).toEqual(["b"]);
    expect([...view.living.keys()]).toEqual(["b"]);
    expect(view.isGone("a")).toBe(false);
    // Late news of it are old news.
    expect(view.apply(entry("n.a", 2, over("a", 0)))).toBe(undefined);
    expect(view.isAlive("b")).toBe(true);
  });

  test("was over, also for a node that has missed that", () => {
    const view = told(entry("n.a", 1, session("a")));
    const next = entry("n.a", 3, session("b"));
    const end = view.missedBefore(next)!;
    expect(end).toMatchObject({ key: "n.a", revision: 2, value: { state: "dead" } });
    expect(view.apply(end)).toEqual({ kind: "session", incarnation: "a", before: "up" });
    expect(view.missedBefore(next)).toBe(undefined);
    view.apply(next);
    expect([...view.living.keys()]).toEqual(["b"]);
  });

  test("is not over for news of itself, of another key, or of one that was there before", () => {
    const view = told(entry("n.a", 2, session("b")));
    expect(view.missedBefore(entry("n.a", 3, session("b")))).toBe(undefined);
    expect(view.missedBefore(entry("n.c", 3, session("c")))).toBe(undefined);
    expect(view.missedBefore(entry("n.a", 1, over("a", 0)))).toBe(undefined);
    expect(view.missedBefore(entry("s.g.1", 4, shard("b")))).toBe(undefined);
  });
});

describe("an owner that nobody knows", () => {
  test("is over when the feed has told of what names it, and so of all sessions before", () => {
    const view = told(entry("s.g.1", 2, shard("a")), entry("g.g", 3, shard("a")));
    expect([view.isFree("g", 1), view.isFree("g", 2)]).toEqual([true, true]);
    view.apply(entry("n.a", 4, session("a")));
    expect([view.isFree("g", 1), view.isFree("g", 2)]).toEqual([false, false]);
  });

  test("may have just begun when a redirect told of it (O1)", () => {
    const view = told(entry("meta", 1, { shardCount: 8, virtualNodes: 64 }));
    view.apply(entry("s.g.1", 3, shard("a")));
    view.apply(entry("g.g", 2, shard("a")));
    expect([view.isFree("g", 1), view.isFree("g", 2)]).toEqual([false, false]);
    view.told([entry("g.g", 2, shard("a"))]);
    expect([view.isFree("g", 1), view.isFree("g", 2)]).toEqual([false, true]);
  });

  test("is not over for a heartbeat that came ahead of other changes", () => {
    const view = told(entry("n.b", 9, session("b", { heartbeat: 3 })));
    view.apply(entry("s.g.1", 3, shard("a")));
    expect(view.isFree("g", 1)).toBe(false);
  });

  test("is over as a leader as well", () => {
    const view = told(entry("leader", 1, { incarnation: "a" }));
    expect(view.isOver("a", "leader")).toBe(true);
    view.apply(entry("leader", 2, { incarnation: "b" }));
    expect(view.isOver("b", "leader")).toBe(false);
  });

  test("leaves shards that nobody owns free", () => {
    expect(new View().isFree("g", 1)).toBe(true);
  });
});

describe("a sender that nobody knows", () => {
  const began = 1_700_000_000_000;
  const sender = incarnationOf("n.1", began, systemRandom);

  test("has just begun", () => {
    expect(new View().isForgotten(sender, began + 1_000)).toBe(false);
    // Its clock may be ahead of that of whoever hears it.
    expect(new View().isForgotten(sender, began - 10 * LONG_MS)).toBe(false);
  });

  test("or was stopped for so long that it is forgotten", () => {
    expect(new View().isForgotten(sender, began + LONG_MS)).toBe(true);
    const view = told(entry("n.a", 1, session(sender)));
    expect(view.isForgotten(sender, began + LONG_MS)).toBe(false);
  });

  test("is not judged by a name that tells no time", () => {
    expect(new View().isForgotten("raw.link.77", began)).toBe(false);
  });
});
