/** The hash that all nodes share. */
import { expect, test } from "bun:test";
import { hash } from "../../src/base/hash.ts";

/** Of the reference implementation of XXH32 (xxHash 0.8, `xxhsum -H0`) and its published test. */
const VECTORS: readonly [text: string, seed: number, hash: number][] = [
  ["", 0, 0x02cc5d05],
  ["", 0x9e3779b1, 0x36b78ae7],
  ["a", 0, 0x550d7456],
  ["abc", 0, 0x32d153ff],
  ["Nobody inspects the spammish repetition", 0, 0xe2293b2f],
];

test.each([...VECTORS])("the hash of %j with seed %d is that of xxHash", (text, seed, expected) => {
  expect(hash(text, seed)).toBe(expected);
});

test("the hash is taken over UTF-8, with 0 for the seed that was left out", () => {
  // The same bytes, once as two characters of text and once as those of "é" in UTF-8.
  expect(hash("é")).not.toBe(hash("\u00c3\u00a9"));
  expect(hash("é")).toBe(hash("é", 0));
  expect(hash("é")).not.toBe(hash("é".normalize("NFD")));
});

test("the hash is a whole number of 32 bits", () => {
  for (let n = 0; n < 1_000; n++) {
    const value = hash(`${n}`, n);
    expect(value >>> 0).toBe(value);
  }
});
