/** The checker says of each history what trying all orders says, and of long ones what was done. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { CatgaError } from "../../src/index.ts";
import { isLinearizable } from "./brute-force.ts";
import { checkEntity } from "./checker.ts";
import { type Operation, Recorder } from "./history.ts";
import {
  appendList,
  counter,
  type CounterInput,
  type CounterOutput,
  type ListInput,
  type ListOutput,
  type ObjectOf,
  register,
  type RegisterInput,
  type RegisterOutput,
} from "./objects.ts";
import { checkAll } from "./report.ts";
import { append, list, type OnList, read, type Span, write } from "./scribe.ts";

const RUNS = 4_000;
const LENGTH_MAX = 7;

/** A list as anybody would write it, for every order is tried anyway. */
const plainList: ObjectOf<ListInput, ListOutput> = () => ({
  initial: "[]",
  step(state, { input, outcome }) {
    const values: unknown[] = JSON.parse(String(state));
    if (input.type === "append") values.push(input.value);
    const output = outcome.kind === "ok" ? outcome.output : undefined;
    const seen = input.type === "read" ? values : values.length;
    const isRight =
      outcome.kind !== "ok" ||
      (output === undefined && input.type === "append") ||
      JSON.stringify(output) === JSON.stringify(seen);
    return isRight ? JSON.stringify(values) : undefined;
  },
  isRead: () => false,
  isUnseen: () => false,
  classOf: (input) => JSON.stringify(input),
  textOf: String,
});

const span: fc.Arbitrary<Span> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.nat(12), fc.nat(5)).map(([at, ms]): Span => [at, at + ms]) },
  { weight: 3, arbitrary: fc.nat(12).map((at): Span => [at]) },
  { weight: 1, arbitrary: fc.nat(12).map((at): Span => [at, "failed"]) },
);

function operationsOf<I, O>(
  actions: fc.Arbitrary<readonly [input: I, output: O]>,
): fc.Arbitrary<Operation<I, O>[]> {
  const one = fc.tuple(actions, span).map(([[input, output], [at, end]]): Operation<I, O> => {
    if (end === undefined) return { entity: "e", input, at, outcome: { kind: "unknown" } };
    if (end === "failed") return { entity: "e", input, at, outcome: { kind: "failed" } };
    return { entity: "e", input, at, outcome: { kind: "ok", at: end, output } };
  });
  return fc.array(one, { maxLength: LENGTH_MAX });
}

const value = fc.integer({ min: 1, max: 3 });
const onRegister = operationsOf<RegisterInput, RegisterOutput>(
  fc.oneof(
    value.map((output) => [{ type: "read" }, output] as const),
    value.map((written) => [{ type: "write", value: written }, undefined] as const),
    fc
      .tuple(value, value, fc.boolean())
      .map(([from, to, isDone]) => [{ type: "cas", from, to }, isDone] as const),
  ),
);
const onCounter = operationsOf<CounterInput, CounterOutput>(
  fc.oneof(
    fc.nat(4).map((output) => [{ type: "read" }, output] as const),
    fc
      .tuple(fc.integer({ min: -1, max: 2 }), fc.option(fc.nat(4), { nil: undefined }))
      .map(([n, output]) => [{ type: "add", n }, output] as const),
  ),
);
const onList = operationsOf<ListInput, ListOutput>(
  fc.oneof(
    fc.array(value, { maxLength: 3 }).map((output) => [{ type: "read" }, output] as const),
    fc
      .tuple(value, fc.option(fc.nat(4), { nil: undefined }))
      .map(([appended, output]) => [{ type: "append", value: appended }, output] as const),
  ),
);

/** Of so many histories each verdict is that of all orders; both verdicts must occur. */
function agrees<I, O>(
  histories: fc.Arbitrary<Operation<I, O>[]>,
  objectOf: ObjectOf<I, O>,
  plainOf: ObjectOf<I, O> = objectOf,
): void {
  const seen = { linearizable: 0, violation: 0, undecided: 0 };
  const property = fc.property(histories, (history) => {
    const { kind } = checkEntity(history, objectOf);
    seen[kind]++;
    const isRight = isLinearizable(history, plainOf(history));
    expect(kind).toBe(isRight ? "linearizable" : "violation");
  });
  fc.assert(property, { numRuns: RUNS, seed: 7 });
  expect(Math.min(seen.linearizable, seen.violation)).toBeGreaterThan(RUNS / 20);
}

describe("every verdict is that of trying all orders", () => {
  test("on registers", () => agrees(onRegister, register));
  test("on counters", () => agrees(onCounter, counter));
  test("on lists", () => agrees(onList, appendList, plainList));
});

interface Plan {
  readonly callers: number;
  readonly rounds: number;
  /** What happens to every so manieth operation: its outcome is unknown, half of them happened. */
  readonly unknownEvery: number;
}

/** What callers of a real list see who ask at the same time, some of them in vain. */
function longHistory({ callers, rounds, unknownEvery }: Plan): OnList[] {
  const values: string[] = [];
  const history: OnList[] = [];
  for (let round = 0; round < rounds; round++) {
    const at = round * 10;
    for (let caller = 0; caller < callers; caller++) {
      const n = history.length;
      if (n % unknownEvery === 0) {
        history.push(append(`${n}`, [at + caller / callers]));
        if (n % (2 * unknownEvery) === 0) values.push(`${n}`);
      } else if (n % 4 === 0) {
        const output = [...values];
        const outcome = { kind: "ok", at: at + 9, output } as const;
        history.push({ entity: "e", input: { type: "read" }, at, outcome });
      } else {
        values.push(`${n}`);
        history.push(append(`${n}`, [at + caller / callers, at + 9]));
      }
    }
  }
  return history;
}

describe("a long history", () => {
  const plan = { callers: 12, rounds: 250, unknownEvery: 13 };
  test("with much at the same time and much unknown is decided", () => {
    expect(checkAll(longHistory(plan), appendList)).toEqual([]);
  });
  test("with one acknowledged update that is lost is found out", () => {
    const history = longHistory(plan);
    const at = history.findIndex(({ input, outcome }) => {
      return input.type === "append" && outcome.kind === "ok";
    });
    const lost = history[at]!.input;
    const without = history.map((each): OnList => {
      const { outcome } = each;
      if (outcome.kind !== "ok" || !Array.isArray(outcome.output)) return each;
      const left = outcome.output.filter((value) => lost.type === "read" || value !== lost.value);
      return { ...each, outcome: { ...outcome, output: left } };
    });
    expect(checkAll(without, appendList)).toHaveLength(1);
  });
  test("of writes is decided, however many are unknown", () => {
    const history = Array.from({ length: 1_000 }, (_, n) => [
      write(n, [n * 10]),
      write(-n - 1, [n * 10, n * 10 + 4]),
      read(n % 3 === 0 ? n : -n - 1, [n * 10 + 5, n * 10 + 6]),
    ]).flat();
    expect(checkAll(history, register)).toEqual([]);
    const last = read(-1, [100_000, 100_001]);
    expect(checkAll([...history, last], register)).toHaveLength(1);
  });
  test("that would take too long is undecided, which is said", () => {
    const many = Array.from({ length: 20 }, (_, n) => write(n, [0, 50]));
    const [text] = checkAll([...many, read(3, [60, 61])], register, { waysMax: 1_000 });
    expect(text).toContain("undecided");
  });
});

describe("a report", () => {
  test("says which operation cannot be explained, and what there was", () => {
    const history = [append("a", [0, 1]), append("b", [2, 3]), append("c", [4]), list("b", [6, 7])];
    expect(checkAll(history, appendList)).toEqual([
      [
        'e: not linearizable: no order explains {"type":"append","value":"a"} -> done (0..1)',
        '  it may have met an empty list; next was "b"',
        "  before it nothing",
        "  beside it nothing",
      ].join("\n"),
    ]);
  });
  test("looks at each entity by itself", () => {
    const history = [read(null, [0, 1]), { ...read(7, [0, 1]), entity: "f" }];
    expect(checkAll(history, register).map((text) => text.slice(0, 2))).toEqual(["f:"]);
  });
});

describe("a recorder", () => {
  test("knows what failed, what is unknown and what has not ended", async () => {
    let now = 0;
    const recorder = new Recorder<string, number>(() => now++);
    const call = (input: string, run: () => Promise<number>) =>
      recorder.call({ entity: "e", input }, run);
    expect(await call("ok", async () => 5)).toBe(5);
    const full = new CatgaError("MAILBOX_FULL", { entity: "e", capacity: 1 });
    expect(await call("full", () => Promise.reject(full))).toBeUndefined();
    const details = { entity: "e", message: "m", reason: "it died" };
    const unknown = new CatgaError("OUTCOME_UNKNOWN", details);
    await call("unknown", () => Promise.reject(unknown));
    await call("strange", () => Promise.reject(new Error("who knows")));
    const { promise, resolve } = Promise.withResolvers<number>();
    const open = call("open", () => promise);
    const outcomes = () => recorder.operations.map(({ input, outcome: { kind } }) => [input, kind]);
    expect(outcomes()).toEqual([
      ["ok", "ok"],
      ["full", "failed"],
      ["unknown", "unknown"],
      ["strange", "unknown"],
      ["open", "unknown"],
    ]);
    resolve(1);
    await open;
    expect(outcomes().at(-1)).toEqual(["open", "ok"]);
  });
});
