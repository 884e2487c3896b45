/** What a node's cache of answers keeps, shares and forgets. */
import { beforeEach, describe, expect, test } from "bun:test";
import { setImmediate as settled } from "node:timers/promises";
import { cacheKeyOf, type CacheRule, QueryCache } from "../../src/runtime/query-cache.ts";
import { FakeClock } from "../base/fake-clock.ts";
import { failureOf } from "../drivers/nodes.ts";

const rule: CacheRule = { type: "orders.get", ttlMs: 1_000, staleMs: 0 };
const patient: CacheRule = { ...rule, staleMs: 500 };

let clock: FakeClock;
let cache: QueryCache;
let begun: number;

beforeEach(() => {
  clock = new FakeClock(10_000);
  cache = new QueryCache({ clock, entriesMax: 100, bytesMax: 100_000 });
  begun = 0;
});

/** An answer that says how many were asked for before. */
async function counted(): Promise<unknown> {
  return { nth: begun++ };
}

function thrown(): Promise<unknown> {
  begun++;
  throw new Error("away");
}

interface Slow {
  readonly fill: () => Promise<unknown>;
  readonly end: (answer: unknown) => Promise<void>;
  readonly fail: (error: Error) => void;
}

/** A fill that ends when it is told to. */
function slow(): Slow {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const fill = (): Promise<unknown> => {
    begun++;
    return promise;
  };
  const end = async (answer: unknown): Promise<void> => {
    resolve(answer);
    await settled();
  };
  return { fill, end, fail: reject };
}

describe("an answer", () => {
  test("is told until its time is over", async () => {
    expect(await cache.answer(rule, "a", { fill: counted })).toEqual({ nth: 0 });
    clock.advance(999);
    expect(await cache.answer(rule, "a", { fill: counted })).toEqual({ nth: 0 });
    clock.advance(1);
    expect(await cache.answer(rule, "a", { fill: counted })).toEqual({ nth: 1 });
    expect(cache.figures).toMatchObject({ hits: 1, misses: 2, entries: 1 });
  });

  test("is as old as its question", async () => {
    const { fill, end } = slow();
    const first = cache.answer(rule, "a", { fill });
    await settled();
    clock.advance(600);
    await end("late");
    expect(await first).toBe("late");
    clock.advance(400);
    expect(await cache.answer(rule, "a", { fill: async () => "next" })).toBe("next");
  });

  test("belongs to its type and its key", async () => {
    await cache.answer(rule, "a", { fill: counted });
    expect(await cache.answer(rule, "b", { fill: counted })).toEqual({ nth: 1 });
    expect(await cache.answer({ ...rule, type: "carts.get" }, "a", { fill: counted })).toEqual({
      nth: 2,
    });
    expect(await cache.answer(rule, "a", { fill: counted })).toEqual({ nth: 0 });
  });

  test("is a copy of his own for everybody who asked", async () => {
    const answer = { lines: [1] };
    const fill = async (): Promise<unknown> => answer;
    const [first, second] = await Promise.all([
      cache.answer(rule, "a", { fill }),
      cache.answer(rule, "a", { fill }),
    ]);
    for (const own of [first, second, answer]) (own as { lines: number[] }).lines.push(2);
    expect(await cache.answer(rule, "a", { fill })).toEqual({ lines: [1] });
    expect(first).toEqual({ lines: [1, 2] });
  });

  test("may be nothing, and is kept like others", async () => {
    for (const nothing of [undefined, null, 0, ""]) {
      cache.clear();
      expect(await cache.answer(rule, "a", { fill: async () => nothing })).toBe(nothing as never);
      expect(await cache.answer(rule, "a", { fill: counted })).toBe(nothing as never);
    }
    expect(begun).toBe(0);
  });

  test("that is not plain reaches nobody", async () => {
    const failure = await failureOf(cache.answer(rule, "a", { fill: async () => new Map() }));
    expect(failure).toMatchObject({ why: { path: "$", found: expect.stringContaining("Map") } });
    expect(await cache.answer(rule, "a", { fill: counted })).toEqual({ nth: 0 });
  });
});

describe("a fill", () => {
  test("is one for all who wait, and fails for all of them", async () => {
    const { fill, fail } = slow();
    const failures = Array.from({ length: 3 }, () => failureOf(cache.answer(rule, "a", { fill })));
    await settled();
    fail(new Error("no order"));
    for (const failure of failures) expect(await failure).toMatchObject({ message: "no order" });
    expect(begun).toBe(1);
    expect(await cache.answer(rule, "a", { fill: counted })).toEqual({ nth: 1 });
  });

  test("that throws at once fails those who wait", async () => {
    const failure = await failureOf(cache.answer(rule, "a", { fill: thrown }));
    expect(failure).toMatchObject({ message: "away" });
  });

  for (const [what, invalidate] of [
    ["its key", () => cache.invalidate(rule.type, "a")],
    ["its type", () => cache.invalidate(rule.type)],
    ["everything", () => cache.clear()],
  ] as const) {
    test(`that began before ${what} was invalidated is told to nobody who asks after`, async () => {
      const [before, after] = [slow(), slow()];
      const early = cache.answer(rule, "a", { fill: before.fill });
      await settled();
      invalidate();
      const late = cache.answer(rule, "a", { fill: after.fill });
      await after.end("new");
      await before.end("old");
      expect([await early, await late]).toEqual(["old", "new"]);
      expect(await cache.answer(rule, "a", { fill: counted })).toBe("new");
    });
  }

  test("that causes an invalidation while it begins is not kept", async () => {
    await cache.answer(rule, "a", {
      fill: async () => {
        cache.invalidate(rule.type, "a");
        return "before";
      },
    });
    expect(await cache.answer(rule, "a", { fill: counted })).toEqual({ nth: 0 });
  });

  test("past the cache is shared and not kept, and what was kept is told no more", async () => {
    await cache.answer(rule, "a", { fill: async () => "kept" });
    const past = [
      cache.pass(rule, "a", { fill: counted }),
      cache.pass(rule, "a", { fill: counted }),
    ];
    expect(await Promise.all(past)).toEqual([{ nth: 0 }, { nth: 0 }]);
    expect(await cache.answer(rule, "a", { fill: counted })).toEqual({ nth: 1 });
  });
});

describe("a stale answer", () => {
  test("is told while one fill asks for the next", async () => {
    await cache.answer(patient, "a", { fill: async () => "old" });
    clock.advance(1_000);
    const { fill, end } = slow();
    for (let n = 0; n < 3; n++) expect(await cache.answer(patient, "a", { fill })).toBe("old");
    expect(begun).toBe(1);
    await end("new");
    expect(await cache.answer(patient, "a", { fill })).toBe("new");
    expect(begun).toBe(1);
  });

  test("stays until its end when the next one fails, and no longer", async () => {
    await cache.answer(patient, "a", { fill: async () => "old" });
    clock.advance(1_000);
    for (let n = 1; n <= 2; n++) {
      expect(await cache.answer(patient, "a", { fill: thrown })).toBe("old");
      await settled();
      expect(begun).toBe(n);
    }
    clock.advance(500);
    expect(await failureOf(cache.answer(patient, "a", { fill: thrown }))).toMatchObject({
      message: "away",
    });
  });

  test("is not told once it was invalidated, and a refresh under way brings nothing", async () => {
    await cache.answer(patient, "a", { fill: async () => "old" });
    clock.advance(1_000);
    const { fill, end } = slow();
    await cache.answer(patient, "a", { fill });
    cache.invalidate(rule.type, "a");
    expect(await cache.answer(patient, "a", { fill: async () => "new" })).toBe("new");
    await end("refreshed");
    expect(await cache.answer(patient, "a", { fill: counted })).toBe("new");
  });
});

describe("the room of a cache", () => {
  test("holds so many answers, those that were asked for last", async () => {
    for (let n = 0; n < 200; n++) {
      await cache.answer(rule, `${n}`, { fill: counted });
      await cache.answer(rule, "0", { fill: counted });
    }
    expect(cache.figures.entries).toBe(100);
    expect(await cache.answer(rule, "0", { fill: counted })).toEqual({ nth: 0 });
    expect(await cache.answer(rule, "1", { fill: counted })).toEqual({ nth: 200 });
  });

  test("holds so many bytes, of keys too, and nothing that would fill it alone", async () => {
    for (let n = 0; n < 90; n++)
      await cache.answer(rule, `${n}`, { fill: async () => "x".repeat(1_000) });
    const { entries, bytes } = cache.figures;
    expect(bytes).toBeLessThanOrEqual(100_000);
    expect(entries).toBeGreaterThan(10);
    await cache.answer(rule, "k".repeat(60_000), { fill: async () => 1 });
    expect(
      await cache.answer(rule, "large", { fill: async () => "x".repeat(100_000) }),
    ).toHaveLength(100_000);
    expect(cache.figures).toEqual({ hits: 0, misses: 92, entries, bytes });
  });

  test("is free again after all was forgotten", async () => {
    await cache.answer(rule, "a", { fill: counted });
    cache.clear();
    expect(cache.figures).toMatchObject({ entries: 0, bytes: 0 });
  });

  test("is not taken by what was invalidated while it was asked for", async () => {
    const { fill, end } = slow();
    const early = cache.answer(rule, "a", { fill });
    await settled();
    cache.invalidate(rule.type);
    await end("old");
    await early;
    expect(cache.figures.entries).toBe(0);
  });
});

describe("the key of a payload", () => {
  test("does not depend on the order of properties, nor on those that are undefined", () => {
    const one = { b: [{ y: 1, x: -0 }], a: "ü", c: undefined };
    expect(cacheKeyOf(one)).toBe(cacheKeyOf({ a: "ü", b: [{ x: 0, y: 1 }] }));
  });

  test("differs where payloads differ", () => {
    const payloads = [undefined, null, "", "null", 1, "1", [], {}, [1], { 0: 1 }, [[1, 2]], [1, 2]];
    const nested = [{ a: "b", c: "d" }, { a: 'b","c":"d' }, { a: { b: 1 } }, { "a:{b": 1 }];
    const keys = [...payloads, ...nested].map(cacheKeyOf);
    expect(new Set(keys).size).toBe(keys.length);
  });

  test("is refused for what is not plain", () => {
    expect(() => cacheKeyOf({ at: new Date(0) })).toThrow("$.at");
    expect(() => cacheKeyOf(1n)).toThrow("bigint");
  });
});
