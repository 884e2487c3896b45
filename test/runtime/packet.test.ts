/** Rows of a transfer that no donor sends are refused, whatever stands in them. */
import { expect, test } from "bun:test";
import { loadStateCodec, packetsOf } from "../../src/runtime/packet.ts";

test.each<[string, readonly unknown[]]>([
  ["whose name is an object without a text", ["answer", { toString: 7 }, 500, { value: 1 }]],
  ["whose name is a number", ["answer", 7, 500, { value: 1 }]],
  ["without an end", ["answer", "key", null, { value: 1 }]],
  ["of a code that there is not", ["answer", "key", 5, { code: "FUN", details: {} }]],
])("an answer %s", async (_, row) => {
  await loadStateCodec();
  const entity = ["entity", "counter", "a", null] as const;
  expect(packetsOf([entity, row as never], 0, () => undefined)).toBeUndefined();
  expect(packetsOf([entity], 0, () => undefined)).toHaveLength(1);
});
