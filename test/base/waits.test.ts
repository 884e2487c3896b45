/** What is under way, in the order in which it began. */
import { expect, test } from "bun:test";
import { Waits } from "../../src/base/waits.ts";

test("the oldest is first, whichever of the others end", () => {
  const waits = new Waits<string, number>();
  const found = (): string[] => Array.from(waits, ({ subject }) => subject);
  const [a, b, c, d] = ["a", "b", "c", "d"].map((name, n) => waits.begin(name, n, n));
  waits.end(c!);
  expect(found()).toEqual(["a", "b", "d"]);
  waits.end(a!);
  expect(found()).toEqual(["b", "d"]);
  waits.end(d!);
  const e = waits.begin("e", 4, 4);
  expect([found(), waits.count]).toEqual([["b", "e"], 2]);
  waits.end(b!);
  waits.end(e);
  expect([found(), waits.count]).toEqual([[], 0]);
  waits.begin("f", 5, 5);
  expect(found()).toEqual(["f"]);
});
