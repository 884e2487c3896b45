/** Plain data, copied or refused. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { DEPTH_MAX, MESSAGE_BYTES_MAX } from "../../src/base/limits.ts";
import { charsMaxOfLastCopy, CopyError, copyPlain, type NotCopied } from "../../src/base/plain.ts";
import { UNENCODABLE } from "../contracts/oddities.ts";

type Odd = Extract<NotCopied, { path: string }>;
type Oversize = Extract<NotCopied, { bytes: number }>;

function refusalOf(value: unknown): NotCopied {
  try {
    copyPlain(value);
  } catch (error) {
    if (error instanceof CopyError) return error.why;
    throw error;
  }
  throw new Error("It is copied");
}

function whyNot(value: unknown): Odd {
  const why = refusalOf(value);
  if ("path" in why) return why;
  throw new Error("It is plain");
}

function oversize(value: unknown): Oversize {
  const why = refusalOf(value);
  if ("bytes" in why) return why;
  throw new Error("It is not too large");
}

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let n = 0; n < levels; n++) value = n % 2 === 0 ? [value] : { value };
  return value;
}

/** A list with one text, of so many bytes as JSON. */
function ofBytes(bytes: number, unit = "x"): string[] {
  const overhead = JSON.stringify([""]).length;
  const each = new TextEncoder().encode(JSON.stringify(unit)).length - 2;
  return [
    unit.repeat(Math.floor((bytes - overhead) / each)) + "x".repeat((bytes - overhead) % each),
  ];
}

describe("copyPlain()", () => {
  test.each(["x", "é", "🛫", "\u0000", '"', "\ud800"])(
    "takes a value of the largest size in %j, and not one byte more",
    (unit) => {
      const largest = ofBytes(MESSAGE_BYTES_MAX, unit);
      expect(copyPlain(largest)).toEqual(largest);
      expect(oversize([`${largest[0]}x`])).toMatchObject({
        bytes: MESSAGE_BYTES_MAX + 1,
        bytesMax: MESSAGE_BYTES_MAX,
      });
    },
  );

  test.each([
    ["numbers", (count: number) => new Array<number>(count).fill(1)],
    ["empty lists", (count: number) => Array.from({ length: count / 1.5 }, () => [])],
  ])("takes as many %s as fit", (_, values) => {
    const most = values(MESSAGE_BYTES_MAX / 2 - 1);
    expect(copyPlain(most)).toEqual(most);
    expect(oversize([most, most]).bytes).toBeGreaterThan(MESSAGE_BYTES_MAX);
  });

  test("ends soon when one object stands in another many times over", () => {
    let shared: unknown = { leaf: true };
    // Each level doubles what a copy without an end would copy: 2^60 objects.
    for (let level = 0; level < 60; level++) shared = [shared, shared];
    expect(oversize(shared).bytes).toBeGreaterThan(MESSAGE_BYTES_MAX);
    expect(oversize({ shared, no: () => 1 }).bytes).toBeGreaterThan(MESSAGE_BYTES_MAX);
    expect(whyNot({ no: () => 1, shared }).path).toBe("$.no");
  });

  test("makes of JSON what JSON would make of it", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const before = JSON.stringify(value);
        fc.pre(!before.includes('"__proto__"'));
        const copy = copyPlain(value);
        expect(copy).toEqual(JSON.parse(before));
        expect(JSON.stringify(copy)).toBe(before);
        expect(JSON.stringify(value)).toBe(before);
      }),
      { numRuns: 1_000 },
    );
  });

  test("bounds the length of the copy as JSON", () => {
    const texts = fc.string({
      unit: fc.constantFrom("a", "\u0000", "é", "🛫", '"', "\ud800", "\u2028"),
    });
    const value = fc.jsonValue({ maxDepth: 4, stringUnit: "binary" });
    fc.assert(
      fc.property(fc.tuple(texts, value, fc.double()), (values) => {
        const plain = values.filter((each) => typeof each !== "number" || Number.isFinite(each));
        fc.pre(!JSON.stringify(plain).includes("__proto__"));
        const copy = copyPlain(plain);
        const bytes = new TextEncoder().encode(JSON.stringify(copy)).length;
        expect(charsMaxOfLastCopy()).toBeGreaterThanOrEqual(bytes);
      }),
      { numRuns: 1_000 },
    );
  });

  test("shares no object with what it copied", () => {
    const inner = { list: [1, { deep: true }] };
    const value = { inner, again: inner };
    const copy = copyPlain(value) as typeof value;
    expect(copy).toEqual(value);
    for (const [a, b] of [
      [copy, value],
      [copy.inner, inner],
      [copy.again, copy.inner],
      [copy.inner.list, inner.list],
      [copy.inner.list[1], inner.list[1]],
    ]) {
      expect(a).not.toBe(b!);
    }
  });

  test("leaves out what is undefined, and knows one zero", () => {
    const copy = copyPlain({ a: undefined, b: -0, c: { d: undefined } });
    expect(Object.keys(copy as object)).toEqual(["b", "c"]);
    expect(Object.is((copy as { b: number }).b, 0)).toBe(true);
    expect(copyPlain(undefined)).toBe(undefined);
  });

  test(`takes ${DEPTH_MAX} levels and not one more`, () => {
    expect(copyPlain(nested(DEPTH_MAX))).toEqual(nested(DEPTH_MAX));
    const { found } = whyNot(nested(DEPTH_MAX + 1));
    expect(found).toBe(`nested deeper than ${DEPTH_MAX} levels (a cycle, perhaps)`);
    whyNot(nested(10_000));
  });

  test("ends at a cycle, however many ways lead around it", () => {
    const parent: Record<string, unknown> = {};
    parent["children"] = Array.from({ length: 10 }, () => ({ parent, again: parent }));
    expect(whyNot(parent).found).toContain("a cycle, perhaps");
  });

  test.each(
    Object.keys(UNENCODABLE).filter((each) => !each.includes("throws") && !each.includes("parent")),
  )("refuses %s, and says where it stands", (what) => {
    const { path } = whyNot({ ok: 1, lines: [{ ok: "x" }, { price: UNENCODABLE[what]!() }] });
    expect(path).toStartWith("$.lines[1].price");
  });

  test.each([
    [() => 1, "a function"],
    [Symbol("s"), "a symbol"],
    [1n, "a bigint"],
    [Number.NaN, "NaN"],
    [-Infinity, "-Infinity"],
    [new Date(0), "an instance of Date, not plain data"],
  ])("says what it refused: %p is %s", (value, found) => {
    expect(whyNot(value)).toEqual({ path: "$", found });
    expect(whyNot([[value]])).toEqual({ path: "$[0][0]", found });
  });

  test("refuses undefined in a list, since JSON would make it null", () => {
    expect(whyNot([1, undefined])).toEqual({
      path: "$[1]",
      found: "undefined, which a list cannot hold",
    });
  });
});
