/** The judge of the fault tests is one that can say no. */
import { expect, test } from "bun:test";
import type { Turn } from "./probe.ts";
import type { Load } from "./caller.ts";
import { type Expected, judge } from "./verdict.ts";

interface Made extends Partial<Turn> {
  readonly n: number;
  readonly count: number;
}

/** Turns of 2 ns that begin at the times given, on a node whose lease goes on. */
function turnsAt(made: Readonly<Record<number, Made>>): Turn[] {
  return Object.entries(made).map(([at, more]) => {
    const startNs = Number(at);
    const endNs = startNs + 2;
    return { id: "p", node: "a", fence: "1.1", startNs, endNs, leaseEndNs: 1e9, ...more };
  });
}

/** What the caller was answered, or told instead. */
function load(answered: readonly number[], failed: Readonly<Record<number, string>> = {}): Load {
  const failures = Object.entries(failed).map(([n, code]) => ({ id: "p", n: Number(n), code }));
  return { answered: new Map([["p", new Set(answered)]]), sent: 9, failures, gapMs: 0 };
}

const B = { node: "b", fence: "1.2" };
const LATE = { endNs: 90, leaseEndNs: 30 };
const PLANNED: Expected = { isPlanned: true };
const ANOTHER: Expected = { isAnotherAuthority: true };

type Story = Readonly<Record<number, Made>>;
type Answered = readonly number[];

const rights: readonly [what: string, turns: Story, answered: Answered, expected: Expected][] = [
  [
    "turns in a row, and a move",
    { 0: { n: 1, count: 1 }, 5: { n: 2, count: 2 }, 9: { n: 3, count: 3, ...B } },
    [1, 2, 3],
    PLANNED,
  ],
  [
    "a turn that outlived its lease, and whose caller never knew",
    { 0: { n: 1, count: 1 }, 5: { n: 2, count: 2, ...LATE }, 40: { n: 3, count: 1, ...B } },
    [1, 3],
    {},
  ],
  [
    "an answer under a lease that was renewed after a lapse, and never taken over",
    { 0: { n: 1, count: 1 }, 5: { n: 2, count: 2, ...LATE } },
    [1, 2],
    {},
  ],
  [
    "an answer under a lease that was renewed after a lapse, and taken over much later",
    {
      5: { n: 1, count: 1, ...LATE },
      95: { n: 2, count: 2 },
      100: { n: 3, count: 1, ...B },
    },
    [1, 2, 3],
    {},
  ],
  [
    "an entity that begins anew where its owner died",
    { 0: { n: 1, count: 1 }, 5: { n: 2, count: 1, ...B } },
    [1, 2],
    {},
  ],
  [
    "another authority, under which epochs begin anew",
    { 0: { n: 1, count: 1, ...B }, 5: { n: 2, count: 1, fence: "2.1" } },
    [1, 2],
    ANOTHER,
  ],
];
test.each([...rights])("finds nothing wrong with %s", (_, made, answered, expected) => {
  const seen = { turns: turnsAt(made), load: load(answered), failed: [] };
  expect(judge(seen, expected)).toEqual([]);
});

const wrongs: readonly [what: string, turns: Story, answered: Answered, says: string][] = [
  [
    "what was answered and never ran",
    { 0: { n: 1, count: 1 } },
    [1, 2],
    "p: 2 was answered and is missing",
  ],
  [
    "two turns at once",
    { 0: { n: 1, count: 1, endNs: 9 }, 5: { n: 2, count: 1, ...B } },
    [],
    "p: turns on a and b at once",
  ],
  [
    "two turns at once on one node",
    { 0: { n: 1, count: 1, endNs: 9 }, 5: { n: 2, count: 2 } },
    [],
    "p: turns on a and a at once",
  ],
  [
    "a turn within one that began before others",
    { 0: { n: 1, count: 1, endNs: 20 }, 3: { n: 2, count: 2 }, 9: { n: 3, count: 3, ...B } },
    [],
    "p: turns on a and b at once",
  ],
  [
    "a message that ran twice",
    { 0: { n: 1, count: 1 }, 5: { n: 1, count: 2, ...B } },
    [1],
    "p: 1 ran twice",
  ],
  [
    "a message that ran late",
    { 0: { n: 2, count: 1 }, 5: { n: 1, count: 2 } },
    [1],
    "p: 1 ran after 2",
  ],
  [
    "a fence that fell",
    { 0: { n: 1, count: 1, ...B }, 5: { n: 2, count: 2 } },
    [1],
    "p: the fence fell with 2",
  ],
  [
    "an answer of a turn that outlived its lease",
    { 5: { n: 1, count: 1, ...LATE }, 40: { n: 2, count: 1, ...B } },
    [1, 2],
    "p: 1 outlived its lease and was answered",
  ],
  [
    "a copy that forgot what it did",
    { 0: { n: 1, count: 1 }, 5: { n: 2, count: 1 } },
    [1, 2],
    "p: 2 found 0 turns of 1",
  ],
  [
    "a copy that took over some of it",
    { 0: { n: 1, count: 1 }, 5: { n: 2, count: 2 }, 9: { n: 3, count: 2, ...B } },
    [1, 2, 3],
    "p: 3 found 1 turns of 2",
  ],
  [
    "two nodes under one fence",
    { 0: { n: 1, count: 1 }, 5: { n: 2, count: 2, node: "b" } },
    [1, 2],
    "p: a and b had turns under one fence",
  ],
  [
    "another authority that nobody took away",
    { 0: { n: 1, count: 1 }, 5: { n: 2, count: 1, fence: "2.1" } },
    [1, 2],
    "turns under 2 generations of the authority, not 1",
  ],
];
test.each([...wrongs])("finds %s", (_, made, answered, says) => {
  const seen = { turns: turnsAt(made), load: load(answered), failed: [] };
  expect(judge(seen)).toContain(says);
});

test("finds memory that was lost, and who was declared dead, when nothing was to die", () => {
  const turns = turnsAt({ 0: { n: 1, count: 1 }, 5: { n: 2, count: 1, ...B } });
  expect(judge({ turns, load: load([1, 2]), failed: ["a"] }, PLANNED)).toEqual([
    "p: 2 found 0 turns of 1",
    "declared dead: a",
  ]);
});

test("finds an authority that was taken away and is still there", () => {
  const turns = turnsAt({ 0: { n: 1, count: 1 } });
  expect(judge({ turns, load: load([1]), failed: [] }, ANOTHER)).toEqual([
    "turns under 1 generations of the authority, not 2",
  ]);
});

test("finds calls that failed, but for those that a scenario costs", () => {
  const turns = turnsAt({ 0: { n: 1, count: 1 }, 5: { n: 2, count: 1, fence: "2.1" } });
  const failed = { 2: "CALL_TIMEOUT", 3: "UNAVAILABLE", 4: "OUTCOME_UNKNOWN" };
  const answers = load([1], failed);
  const late = "p: 2 failed with CALL_TIMEOUT, and ran on a";
  const refused = "p: 3 failed with UNAVAILABLE, and ran on no node";
  const unknown = "p: 4 failed with OUTCOME_UNKNOWN, and ran on no node";
  const first = { turns: turnsAt({ 0: { n: 1, count: 1 }, 5: { n: 2, count: 2 } }) };
  expect(judge({ ...first, load: answers, failed: [] })).toEqual([late, refused]);
  expect(judge({ ...first, load: answers, failed: [] }, PLANNED)).toEqual([late, refused, unknown]);
  expect(judge({ turns, load: answers, failed: [] }, ANOTHER)).toEqual([late]);
  expect(judge({ ...first, load: answers, failed: [] }, { mayEndCaller: true })).toEqual([late]);
});
