/** Trace context as it comes from others: what makes no sense is as if it were not there. */
import { describe, expect, test } from "bun:test";
import { extrasValue, readExtras } from "../../src/protocol/frame.ts";
import { readTrace, traceFields } from "../../src/protocol/trace.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const PARENT = `00-${TRACE}-${SPAN}-01`;

/** What is no `traceparent`. */
const WRONG: readonly unknown[] = [
  undefined,
  null,
  0,
  {},
  [[PARENT]],
  "",
  "nonsense",
  ` ${PARENT}`,
  `${PARENT}\n`,
  `${PARENT}-more`,
  PARENT.slice(0, -1),
  PARENT.replaceAll("-", "_"),
  PARENT.toUpperCase(),
  PARENT.replace(TRACE, "0".repeat(32)),
  PARENT.replace(SPAN, "0".repeat(16)),
  PARENT.replace(TRACE, `${TRACE}0`),
  `ff${PARENT.slice(2)}`,
  `0g${PARENT.slice(2)}`,
  `01${PARENT.slice(2)}more`,
];

describe("a trace context", () => {
  test("is read as W3C writes it", () => {
    expect(readTrace(PARENT, "a=1,b=2")).toEqual({ traceparent: PARENT, tracestate: "a=1,b=2" });
  });

  test("of a later version is one of this, without what that has added", () => {
    for (const later of [`01${PARENT.slice(2)}`, `cc${PARENT.slice(2)}-more`]) {
      expect(readTrace(later, undefined)).toEqual({ traceparent: PARENT });
    }
  });

  test.each(WRONG.map((wrong) => [wrong]))("of %p is none", (wrong) => {
    expect(readTrace(wrong, "a=1")).toBe(undefined);
  });

  const states: readonly (readonly [string, unknown])[] = [
    ["too long", "x".repeat(513)],
    ["not printable", "a=1\u0007"],
    ["not ASCII", "a=é"],
    ["empty", ""],
    ["no text", 1],
  ];
  test.each([...states])("loses a state that is %s, and that alone", (_, state) => {
    expect(readTrace(PARENT, state)).toEqual({ traceparent: PARENT });
  });

  test("is in log lines by its ids, and no trace is not", () => {
    expect(traceFields({ traceparent: PARENT })).toEqual({ traceId: TRACE, spanId: SPAN });
    expect(traceFields({ traceparent: "" })).toEqual({});
    expect(traceFields(undefined)).toEqual({});
  });
});

describe("beside a message", () => {
  test.each(WRONG.map((wrong) => [wrong]))("%p as its trace does not harm it", (wrong) => {
    for (const place of [wrong, [wrong], [wrong, "a=1"]]) {
      const extras = { dedup: { key: "k", since: 2 }, chain: ["a"], trace: undefined };
      expect(readExtras(["k", 2, place, "a"])).toEqual(extras);
    }
  });

  test("a trace comes alone, or with what else there is", () => {
    const trace = { traceparent: PARENT, tracestate: "a=1" };
    for (const dedup of [undefined, { key: "k", since: 2 }]) {
      for (const chain of [undefined, ["a", "b"]]) {
        const extras = { dedup, chain, trace };
        expect(readExtras(JSON.parse(JSON.stringify(extrasValue(extras))))).toEqual(extras);
      }
    }
  });

  test("nothing is sent for a trace that is none, and no state that is too long", () => {
    const nothing = { dedup: undefined, chain: undefined };
    expect(extrasValue(nothing)).toBe(0);
    expect(extrasValue({ ...nothing, trace: { traceparent: "" } })).toEqual([0, 0, 0]);
    const long = { traceparent: PARENT, tracestate: "x".repeat(513) };
    expect(extrasValue({ ...nothing, trace: long })).toEqual([0, 0, [PARENT]]);
  });
});
