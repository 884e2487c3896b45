/** Names at the broker: none becomes more than one token, none meets another. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { bucketKey, namesOf, textOf, token } from "../../src/drivers/nats/subject.ts";
import { HARD_TEXTS } from "../contracts/seat.ts";

const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.constantFrom(..."a_-.*> \r\n$2e=".split("")) }),
  fc.constantFrom(...HARD_TEXTS),
);

test("token() makes one token of any text, and textOf() the text again", () => {
  fc.assert(
    fc.property(text, (each) => {
      expect(token(each)).toMatch(/^[A-Za-z0-9_-]*$/);
      expect(textOf(token(each))).toBe(each);
    }),
  );
});

test("bucketKey() makes a legal key of any record's key, and another of another", () => {
  const keys = new Map<string, string>();
  fc.assert(
    fc.property(text, (each) => {
      const key = bucketKey(7, each);
      expect(key).toMatch(/^7(?:\.[A-Za-z0-9_=-]+)+$/);
      expect(key.length).toBeLessThan(256);
      expect(keys.get(key) ?? each).toBe(each);
      keys.set(key, each);
    }),
  );
});

test("clusters of other names and prefixes have other buckets and subjects", () => {
  const names = [
    namesOf("a", "b.c"),
    namesOf("a", "b_c"),
    namesOf("a", "b_2e_c"),
    namesOf("a", "B.c"),
    namesOf("ab", "c"),
    namesOf("a", "bc"),
  ];
  for (const part of ["bucket", "stream", "nodes", "feed"] as const) {
    expect(new Set(names.map((each) => each[part])).size).toBe(names.length);
  }
});
