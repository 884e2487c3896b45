/** The judge of the fault tests is one that can say no. */
import { expect, test } from "bun:test";
import type { Turn } from "./probe.ts";
import type { Load } from "./rig.ts";
import { judge } from "./verdict.ts";

/** A turn of 2 ns that begins at `startNs`, on a node whose lease goes on. */
function turn(n: number, startNs: number, more: Partial<Turn> = {}): Turn {
  const endNs = startNs + 2;
  return { id: "p", node: "a", fence: "1", n, startNs, endNs, leaseEndNs: 1e9, ...more };
}

function load(...answered: number[]): Load {
  return { answered: new Map([["p", new Set(answered)]]), sent: 9, errors: {}, gapMs: 0 };
}

const B = { node: "b", fence: "2" };

test("finds nothing wrong with turns in a row, nor with one that outlived its lease", () => {
  expect(judge([turn(1, 0), turn(2, 5), turn(3, 9, B)], load(1, 2, 3))).toEqual([]);
  const late = turn(2, 5, { endNs: 90, leaseEndNs: 30 });
  expect(judge([turn(1, 0), late, turn(3, 40, B)], load(1, 3))).toEqual([]);
  // Nobody took over: the lease was renewed, and the answer left under it.
  expect(judge([turn(1, 0), late], load(1, 2))).toEqual([]);
});

const wrongs: readonly [what: string, turns: readonly Turn[], answered: number[], says: string][] =
  [
    ["what was answered and never ran", [turn(1, 0)], [1, 2], "p: 2 was answered and is missing"],
    [
      "two turns at once",
      [turn(1, 0, { endNs: 9 }), turn(2, 5, B)],
      [],
      "p: turns on a and b at once",
    ],
    [
      "a turn within one that began before others",
      [turn(1, 0, { endNs: 20 }), turn(2, 3), turn(3, 9, B)],
      [],
      "p: turns on a and b at once",
    ],
    ["a message that ran twice", [turn(1, 0), turn(1, 5, B)], [1], "p: 1 ran twice"],
    ["a message that ran late", [turn(2, 0), turn(1, 5)], [1], "p: 1 ran after 2"],
    ["a fence that fell", [turn(1, 0, B), turn(2, 5)], [1], "p: the fence fell with 2"],
    [
      "an answer of a turn that outlived its lease",
      [turn(1, 0, { endNs: 90, leaseEndNs: 30 }), turn(2, 40, B)],
      [1, 2],
      "p: 1 outlived its lease and was answered",
    ],
  ];
test.each([...wrongs])("finds %s", (_, turns, answered, says) => {
  expect(judge(turns, load(...answered))).toContain(says);
});
