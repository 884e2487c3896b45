/** First in, first out. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { Queue } from "../../src/base/queue.ts";

type Step = { readonly push: number } | { readonly at: number } | "shift" | "drain";

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ push: fc.integer() }) },
  { weight: 4, arbitrary: fc.constant("shift" as const) },
  { weight: 2, arbitrary: fc.record({ at: fc.nat(40) }) },
  { weight: 1, arbitrary: fc.constant("drain" as const) },
);

test("a queue behaves like an array, whatever is done to it", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const queue = new Queue<number>();
      let model: number[] = [];
      for (const each of steps) {
        if (each === "shift") expect(queue.shift()).toBe(model.shift());
        else if (each === "drain") {
          expect(queue.drain()).toEqual(model);
          model = [];
        } else if ("at" in each) expect(queue.at(each.at)).toBe(model[each.at]);
        else {
          queue.push(each.push);
          model.push(each.push);
        }
        expect(queue.size).toBe(model.length);
      }
      expect(queue.drain()).toEqual(model);
    }),
    { numRuns: 300 },
  );
});

test("a queue that grew while its head was in the middle keeps its order", () => {
  const queue = new Queue<number>();
  for (let n = 0; n < 6; n++) queue.push(n);
  for (let n = 0; n < 5; n++) queue.shift();
  for (let n = 6; n < 100; n++) queue.push(n);
  expect(queue.drain()).toEqual(Array.from({ length: 95 }, (_, n) => n + 5));
});
