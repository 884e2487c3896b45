/** Counters and lists: histories that may have been, and histories that cannot. */
import { describe, expect, test } from "bun:test";
import { checkEntity } from "./checker.ts";
import { appendList, counter } from "./objects.ts";
import { describe as textOf } from "./report.ts";
import { add, append, count, list, type OnCounter, type OnList } from "./scribe.ts";

type Case<T> = readonly [what: string, history: readonly T[]];

const RIGHT_COUNTS: readonly Case<OnCounter>[] = [
  ["one after the other", [add(1, [0, 1], 1), add(2, [2, 3], 3), count(3, [4, 5])]],
  ["beside each other, told in another order", [add(1, [0, 9], 2), add(1, [1, 8], 1)]],
  ["an unknown one that happened", [add(1, [0]), add(1, [2, 3], 2)]],
  ["an unknown one that did not", [add(1, [0]), add(1, [2, 3], 1)]],
  [
    "unknown ones of which some happened, at different times",
    [add(1, [0]), add(5, [0]), add(1, [0]), count(1, [2, 3]), count(6, [4, 5]), count(7, [6, 7])],
  ],
  [
    "unknown ones that make one sum in two ways, the first of which it was",
    [1, 4, 2, 3].map((n) => add(n, [0])).concat(count(5, [2, 3]), count(7, [4, 5])),
  ],
  [
    "unknown ones that make one sum in two ways, the second of which it was",
    [1, 4, 2, 3].map((n) => add(n, [0])).concat(count(5, [2, 3]), count(6, [4, 5])),
  ],
  ["one that failed", [add(1, [0, "failed"]), count(0, [2, 3])]],
  [
    "nothing told but in the end",
    [add(1, [0, 1]), add(2, [0, 4]), add(-3, [2, 3]), count(0, [5, 6])],
  ],
];

const WRONG_COUNTS: readonly Case<OnCounter>[] = [
  ["a lost update", [add(1, [0, 9], 1), add(1, [0, 9], 1)]],
  ["a lost acknowledged one", [add(1, [0, 1], 1), count(0, [2, 3])]],
  ["one that ran twice", [add(1, [0, 1], 1), count(2, [2, 3])]],
  ["an unknown one that ran twice", [add(1, [0]), count(1, [2, 3]), count(2, [4, 5])]],
  ["one that failed and ran", [add(1, [0, "failed"]), count(1, [2, 3])]],
  ["an unknown one that is taken back", [add(1, [0]), count(1, [2, 3]), count(0, [4, 5])]],
  ["one that began too late", [count(1, [0, 1]), add(1, [2, 3])]],
  ["more than all together", [add(1, [0]), add(1, [0]), count(3, [2, 3])]],
];

const RIGHT_LISTS: readonly Case<OnList>[] = [
  ["one after the other", [append("a", [0, 1], 1), append("b", [2, 3], 2), list("ab", [4, 5])]],
  ["beside each other", [append("a", [0, 9], 2), append("b", [1, 8], 1), list("ba", [10, 11])]],
  ["an unknown one that happened", [append("a", [0]), append("b", [2, 3]), list("ab", [4, 5])]],
  ["an unknown one that did not", [append("a", [0]), append("b", [2, 3]), list("b", [4, 5])]],
  [
    "an unknown one that happens later",
    [append("a", [0]), append("b", [2, 3]), list("b", [4, 5]), list("ba", [6, 7])],
  ],
  ["what was appended after the last read", [list("", [0, 1]), append("a", [2, 3], 1)]],
  [
    "an unread unknown one that a length tells of",
    [append("a", [0]), append("b", [2, 3], 2), append("c", [4, 5], 3)],
  ],
  ["the same twice", [append("a", [0, 1]), append("a", [2, 3]), list("aa", [4, 5])]],
];

const WRONG_LISTS: readonly Case<OnList>[] = [
  ["one that is lost", [append("a", [0, 1]), append("b", [2, 3]), list("b", [4, 5])]],
  ["one that is lost again", [append("a", [0, 1]), list("a", [2, 3]), list("", [4, 5])]],
  ["one that came twice", [append("a", [0, 1]), list("aa", [2, 3])]],
  ["an unknown one that came twice", [append("a", [0]), append("b", [0]), list("aba", [2, 3])]],
  ["one that failed and came", [append("a", [0, "failed"]), list("a", [2, 3])]],
  ["one that nobody appended", [append("a", [0, 1]), list("ax", [2, 3])]],
  [
    "another order than that of time",
    [append("a", [0, 1]), append("b", [2, 3]), list("ba", [4, 5])],
  ],
  [
    "two readers that see two orders",
    [append("a", [0, 20]), append("b", [0, 20]), list("a", [1, 2]), list("ba", [3, 4])],
  ],
  [
    "an update that a stale writer overwrote",
    [
      append("a", [0, 1]),
      append("b", [2, 9]),
      list("ab", [3, 4]),
      append("c", [5, 6]),
      list("ac", [7, 8]),
    ],
  ],
  ["a length that is wrong", [append("a", [0, 1], 1), append("b", [2, 3], 3)]],
  ["two of one length", [append("a", [0, 9], 1), append("b", [0, 9], 1)]],
];

describe("a counter", () => {
  test.each(RIGHT_COUNTS)("passes: %s", (_, history) => {
    expect(textOf(checkEntity(history, counter))).toBe("linearizable");
  });
  test.each(WRONG_COUNTS)("fails: %s", (_, history) => {
    expect(checkEntity(history, counter).kind).toBe("violation");
  });
});

describe("a list", () => {
  test.each(RIGHT_LISTS)("passes: %s", (_, history) => {
    expect(textOf(checkEntity(history, appendList))).toBe("linearizable");
  });
  test.each(WRONG_LISTS)("fails: %s", (_, history) => {
    expect(checkEntity(history, appendList).kind).toBe("violation");
  });
});
