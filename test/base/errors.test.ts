/** The one error class. */
import { describe, expect, test } from "bun:test";
import { CatgaError, describeError, isCatgaError, isErrorCode } from "../../src/base/errors.ts";
import { THROWN } from "../contracts/oddities.ts";

describe("an error", () => {
  test("says what was tried and what is the case, and is rebuilt from code and details", () => {
    const details = { entity: "account/42", capacity: 3 };
    const error = new CatgaError("MAILBOX_FULL", details);
    expect(error.message).toBe('Cannot accept a message for "account/42": 3 are waiting');
    const sent = JSON.stringify({ code: error.code, details: error.details });
    const { code, details: received } = JSON.parse(sent) as CatgaError;
    expect(new CatgaError(code, received)).toEqual(error);
    expect(error.executed).toBe("no");
  });

  test("takes from its details whether the handler ran, where only they know", () => {
    const details = { entity: "a/1", message: "m" };
    for (const executed of ["no", "maybe"] as const) {
      expect(new CatgaError("CANCELLED", { ...details, executed }).executed).toBe(executed);
    }
    expect(new CatgaError("OUTCOME_UNKNOWN", { ...details, reason: "r" }).executed).toBe("maybe");
  });

  test("keeps its cause", () => {
    const cause = new Error("first");
    expect(new CatgaError("INVALID_ID", { reason: "is empty" }, { cause }).cause).toBe(cause);
  });

  test("is known by its name, also to another copy of the package", () => {
    const foreign = Object.assign(new Error("x"), { name: "CatgaError", code: "INVALID_ID" });
    expect(isCatgaError(foreign)).toBe(true);
    expect(isCatgaError(foreign, "INVALID_ID")).toBe(true);
    expect(isCatgaError(foreign, "MAILBOX_FULL")).toBe(false);
    expect(isCatgaError(new Error("x"))).toBe(false);
    expect(isCatgaError({ name: "CatgaError", code: "INVALID_ID" })).toBe(false);
  });
});

test("a code is one of the table, not a property of every object", () => {
  expect(isErrorCode("INVALID_ID")).toBe(true);
  for (const code of ["FUN", "toString", "__proto__", "", 7, null])
    expect(isErrorCode(code)).toBe(false);
});

test.each(Object.keys(THROWN))("%s that was thrown is described in text", (what) => {
  const { name, text } = describeError(THROWN[what]!());
  expect([typeof name, typeof text]).toEqual(["string", "string"]);
});
