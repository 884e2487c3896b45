/** Records as peers send them: what makes no sense is told apart before it is kept. */
import { expect, test } from "bun:test";
import { isRecord, sessionKey, shardKey } from "../../src/protocol/records.ts";

const shard = { owner: "a", epoch: 1, cleanSince: 1, handoff: null };
const session = { node: "a", address: "x", group: null, weight: 1, leaseMs: 800, load: {} };

test("a record that holds what its key promises makes sense", () => {
  expect(isRecord(shardKey("a.b", 7), shard)).toBe(true);
  expect(isRecord(shardKey("a.b", 7), { ...shard, owner: null })).toBe(true);
  expect(isRecord("g.a", shard)).toBe(true);
  expect(isRecord(sessionKey("a.1"), session)).toBe(true);
  expect(isRecord(sessionKey("a.1"), { ...session, store: "sqlite x" })).toBe(true);
  expect(isRecord("leader", { incarnation: "a.1" })).toBe(true);
  expect(isRecord("groups", { groups: { a: ["a", "b"] } })).toBe(true);
  expect(isRecord("from.a.newer.version", {})).toBe(true);
});

test.each<[string, unknown]>([
  ["s.a.1", null],
  ["s.a.1", "text"],
  ["s.a.1", {}],
  ["s.a.1", { ...shard, epoch: "1" }],
  ["s.a.1", { ...shard, owner: 7 }],
  ["g.a", { ...shard, cleanSince: null }],
  ["n.a.1", { ...session, node: null }],
  ["n.a.1", { ...session, load: null }],
  ["n.a.1", { ...session, store: null }],
  ["leader", {}],
  ["meta", null],
  ["groups", {}],
  ["groups", { groups: null }],
  ["groups", { groups: { a: [1] } }],
  ["groups", { groups: { a: "b" } }],
])("%s holds no %j", (key, value) => {
  expect(isRecord(key, value)).toBe(false);
});
