/** Registers: histories that may have been, and histories that cannot. */
import { describe, expect, test } from "bun:test";
import { isLinearizable } from "./brute-force.ts";
import { checkEntity } from "./checker.ts";
import { register } from "./objects.ts";
import { describe as textOf } from "./report.ts";
import { cas, type OnRegister, read, write } from "./scribe.ts";

const RIGHT: readonly (readonly [string, readonly OnRegister[]])[] = [
  ["nothing", []],
  ["a register that nobody has written", [read(null, [0, 1])]],
  ["a read beside a write sees the old value", [write(1, [0, 9]), read(null, [1, 2])]],
  ["a read beside a write sees the new value", [write(1, [0, 9]), read(1, [1, 2])]],
  [
    "two writes beside each other, in either order",
    [write(1, [0, 9]), write(2, [0, 9]), read(2, [10, 11]), read(2, [12, 13])],
  ],
  [
    "reads in the middle of both",
    [write(1, [0, 9]), write(2, [0, 9]), read(2, [2, 3]), read(1, [4, 5]), read(1, [10, 11])],
  ],
  ["what begins when another ends is beside it", [write(1, [0, 5]), read(null, [5, 6])]],
  ["an unknown write that happened", [write(1, [0]), read(1, [5, 6])]],
  ["an unknown write that never happened", [write(1, [0]), read(null, [5, 6])]],
  [
    "an unknown write that happens long after",
    [write(1, [0]), write(2, [1, 2]), read(2, [3, 4]), write(3, [5, 6]), read(1, [7, 8])],
  ],
  [
    "an unknown write that is overwritten unseen",
    [write(1, [0]), cas([null, 2, false], [1, 2]), write(3, [3, 4]), read(3, [5, 6])],
  ],
  ["a write that failed", [write(1, [0, 1]), write(2, [2, "failed"]), read(1, [4, 5])]],
  [
    "of two that compare and set one is refused",
    [write(1, [0, 1]), cas([1, 2], [2, 9]), cas([1, 3, false], [2, 9]), read(2, [10, 11])],
  ],
  [
    "an unknown compare-and-set explains a refusal",
    [write(1, [0, 1]), cas([1, 2], [2]), cas([1, 3, false], [5, 6]), read(2, [7, 8])],
  ],
  ["an unknown read", [write(1, [0, 1]), read(7, [2]), read(1, [3, 4])]],
];

const WRONG: readonly (readonly [string, readonly OnRegister[]])[] = [
  ["a value from nowhere", [read(1, [0, 1])]],
  ["a stale read", [write(1, [0, 1]), write(2, [2, 3]), read(1, [4, 5])]],
  ["an acknowledged write that is lost", [write(1, [0, 1]), read(null, [2, 3])]],
  ["a read that goes back", [write(1, [0, 9]), read(1, [1, 2]), read(null, [3, 4])]],
  ["a failed write that is seen", [write(1, [0, "failed"]), read(1, [2, 3])]],
  ["an unknown write that is seen before it began", [read(1, [0, 1]), write(1, [2])]],
  [
    "an unknown write that is seen, and then never was",
    [write(1, [0, 1]), write(2, [2]), read(2, [3, 4]), read(1, [5, 6])],
  ],
  [
    "an unknown write that happens twice",
    [write(1, [0]), read(1, [1, 2]), write(2, [3, 4]), read(2, [5, 6]), read(1, [7, 8])],
  ],
  [
    "two that compare and set the same",
    [write(1, [0, 1]), cas([1, 2], [2, 9]), cas([1, 3], [2, 9])],
  ],
  ["a refusal without a reason", [write(1, [0, 1]), cas([1, 2, false], [2, 3])]],
  [
    "two readers that see two orders",
    [write(1, [0, 20]), write(2, [0, 20]), read(1, [1, 2]), read(2, [3, 4]), read(1, [5, 6])],
  ],
];

describe("a register", () => {
  test.each(RIGHT)("passes: %s", (_, history) => {
    expect(textOf(checkEntity(history, register))).toBe("linearizable");
    expect(isLinearizable(history, register(history))).toBe(true);
  });
  test.each(WRONG)("fails: %s", (_, history) => {
    expect(checkEntity(history, register).kind).toBe("violation");
    expect(isLinearizable(history, register(history))).toBe(false);
  });
});
