/** Names and ids: legal or refused, and never mixed up. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { systemRandom } from "../../src/base/random.ts";
import { checkEntityId, checkName, entityKey, incarnationOf } from "../../src/protocol/ids.ts";

function refusal(id: unknown): unknown {
  try {
    checkEntityId(id);
    return "legal";
  } catch (error) {
    return error;
  }
}

describe("an entity's id", () => {
  test.each([
    "a",
    " ",
    ".",
    "..",
    "*",
    ">",
    "/",
    "a/b",
    "é",
    "🛫",
    "__proto__",
    "x".repeat(256),
    "é".repeat(128),
  ])("%j is legal", (id) => {
    expect(refusal(id)).toBe("legal");
  });

  const illegal: readonly [id: unknown, reason: string][] = [
    ["", "is empty"],
    ["\u0000", "has a control character"],
    ["a\nb", "has a control character"],
    ["\u007f", "has a control character"],
    ["\u0085", "has a control character"],
    ["\ud800", "has a lone surrogate"],
    ["a\udfffb", "has a lone surrogate"],
    ["x".repeat(257), "has 257 bytes, at most 256 are allowed"],
    ["é".repeat(129), "has 258 bytes, at most 256 are allowed"],
    ["🛫".repeat(65), "has 260 bytes, at most 256 are allowed"],
    [0, "is a number, not a string"],
    [undefined, "is a undefined, not a string"],
    [null, "is a object, not a string"],
  ];
  test.each([...illegal])("%j is refused with INVALID_ID", (id, reason) => {
    expect(refusal(id)).toMatchObject({ code: "INVALID_ID", details: { reason } });
  });

  test("of any text is legal exactly when it is well formed, without controls, and short", () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom("a", "é", "🛫", "\ud800", "\u0001", " "),
          maxLength: 140,
        }),
        (id) => {
          const bytes = new TextEncoder().encode(id).length;
          const isLegal = id !== "" && bytes <= 256 && !/\p{Cc}|\p{Cs}/u.test(id);
          expect(refusal(id) === "legal").toBe(isLegal);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});

test.each(["a", "A-1", "account", "a.b_c-d", "0", "x".repeat(64)])("%j is a legal name", (name) => {
  expect(() => checkName(name, "entity name")).not.toThrow();
});

test.each(["", ".a", "-a", "_a", "a b", "a/b", "a,b", "é", "a\n", "x".repeat(65), 7, null])(
  "%j is no legal name",
  (name) => {
    expect(() => checkName(name, "entity name")).toThrow("Cannot use entity name");
    expect(() => checkName(name, "entity name")).toThrow(TypeError);
  },
);

test("entities of two types never share a key, since a name has no slash", () => {
  expect(entityKey("a", "b/c")).toBe("a/b/c");
  expect(() => checkName("a/b", "entity name")).toThrow();
});

describe("an incarnation", () => {
  test("is never given twice", () => {
    const all = Array.from({ length: 2_000 }, () =>
      incarnationOf("n", 1_700_000_000_000, systemRandom),
    );
    expect(new Set(all).size).toBe(all.length);
  });

  test("sorts by time, and is legal wherever keys are made of it", () => {
    const random = { fraction: () => 0, text: (length: number) => "v".repeat(length) };
    const times = [0, 1, 31, 32, 1_700_000_000_000, 1_700_000_000_001, 2 ** 45];
    const all = times.map((wallMs) => incarnationOf("n", wallMs, random));
    expect([...all].sort()).toEqual(all);
    for (const each of all) expect(each).toMatch(/^n\.[0-9a-v]{26}$/);
  });
});
