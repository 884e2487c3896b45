/** The most frequent keys: bounds that hold for every stream, and what comes of a real one. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { HOT_COUNTERS } from "../../src/base/limits.ts";
import { TopKeys } from "../../src/base/top-keys.ts";
import { zipf } from "../zipf.ts";

const KEYS = "abcdefghijkl".split("");

/** Keys that are counted, and now and then a fading by half. */
const stream = fc.array(
  fc.oneof(
    { weight: 20, arbitrary: fc.constantFrom(...KEYS) },
    { weight: 1, arbitrary: fc.constant(undefined) },
  ),
  { maxLength: 400 },
);

function counted(steps: readonly (string | undefined)[], capacity: number) {
  const sketch = new TopKeys(capacity);
  const truth = new Map<string, number>();
  for (const key of steps) {
    if (key === undefined) {
      // As a power of two it leaves no rounding.
      sketch.fade(0.5);
      for (const [each, count] of truth) truth.set(each, count / 2);
      if (sketch.total === 0) truth.clear();
    } else {
      sketch.add(key);
      truth.set(key, (truth.get(key) ?? 0) + 1);
    }
  }
  return { sketch, truth };
}

const sum = (values: Iterable<number>): number => [...values].reduce((a, b) => a + b, 0);

describe("the sketch", () => {
  test("is off by all that was counted through its counters at most, and never too low", () => {
    fc.assert(
      fc.property(stream, fc.integer({ min: 1, max: 14 }), (steps, capacity) => {
        const { sketch, truth } = counted(steps, capacity);
        expect(sketch.total).toBeCloseTo(sum(truth.values()), 6);
        const top = sketch.top(0);
        expect(top.length).toBeLessThanOrEqual(capacity);
        for (const { key, count, error } of top) {
          const exact = truth.get(key) ?? 0;
          expect(error).toBeLessThanOrEqual(sketch.total / capacity + 1e-9);
          expect(count).toBeGreaterThanOrEqual(exact - 1e-9);
          expect(count - error).toBeLessThanOrEqual(exact + 1e-9);
        }
        // Who was there more often than that has a counter.
        const named = new Set(top.map(({ key }) => key));
        for (const [key, count] of truth) {
          if (count > sketch.total / capacity + 1e-9) expect(named).toContain(key);
        }
      }),
    );
  });

  test("counts exactly as long as every key has a counter", () => {
    fc.assert(
      fc.property(stream, (steps) => {
        const { sketch, truth } = counted(steps, KEYS.length);
        const found = new Map(sketch.top(0).map(({ key, count }) => [key, count]));
        expect(found).toEqual(truth);
      }),
    );
  });

  test("names the most frequent first, and leaves out what is too rare", () => {
    const { sketch } = counted("abacabad".split(""), 12);
    expect(sketch.top(2).map(({ key, count }) => [key, count])).toEqual([
      ["a", 4],
      ["b", 2],
    ]);
  });

  test("forgets everything that has faded", () => {
    const { sketch } = counted("abcabc".split(""), 4);
    for (let n = 0; n < 5; n++) sketch.fade(0.5);
    expect([sketch.total, sketch.top(0)]).toEqual([0, []]);
  });
});

describe("of a million ids by Zipf's law", () => {
  const IDS = 1_000_000;
  const MESSAGES = 2_000_000;
  const TOP = Array.from({ length: 10 }, (_, n) => `${n + 1}`);

  test.each([1, 2, 3, 4])(
    "nine of the top ten are found, and no more is kept (seed %d)",
    (seed) => {
      const draw = zipf(IDS, seed);
      const sketch = new TopKeys(HOT_COUNTERS);
      for (let n = 0; n < MESSAGES; n++) sketch.add(`${draw()}`);
      const top = sketch.top(0);
      expect(top.length).toBe(HOT_COUNTERS);
      const found = top.slice(0, 10).filter(({ key }) => TOP.includes(key));
      expect(found.length).toBeGreaterThanOrEqual(9);
    },
  );
});
