/** Records as peers send them: what makes no sense is told apart before it is kept. */
import { expect, test } from "bun:test";
import { isRecord, sessionKey, sessionOf, shardKey } from "../../src/protocol/records.ts";

const shard = { owner: "a", epoch: 1, cleanSince: 1, handoff: null };
const session = { node: "a", address: "x", group: null, weight: 1, leaseMs: 800, load: {} };

test("a record that holds what its key promises makes sense", () => {
  expect(isRecord(shardKey("a.b", 7), shard)).toBe(true);
  expect(isRecord(shardKey("a.b", 7), { ...shard, owner: null })).toBe(true);
  expect(isRecord("g.a", shard)).toBe(true);
  expect(isRecord(sessionKey("a.1"), session)).toBe(true);
  expect(isRecord(sessionKey("a.1"), { ...session, store: "sqlite x" })).toBe(true);
  expect(isRecord(sessionKey("a.1"), { ...session, incarnation: "b.2", overMs: 7 })).toBe(true);
  expect(isRecord(sessionKey("a.1"), { ...session, handlers: ["a", "b>c"] })).toBe(true);
  const load = { hot: [["account", "42", 0.4, 2_000]] };
  expect(isRecord(sessionKey("a.1"), { ...session, load })).toBe(true);
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
  ["n.a.1", { ...session, load: { hot: "account/42" } }],
  ["n.a.1", { ...session, load: { hot: [null] } }],
  ["n.a.1", { ...session, load: { hot: [["account", 42, 0.4, 2_000]] } }],
  ["n.a.1", { ...session, load: { hot: [["account", "42", "0.4", 2_000]] } }],
  ["n.a.1", { ...session, store: null }],
  ["n.a.1", { ...session, incarnation: null }],
  ["n.a.1", { ...session, incarnation: 7 }],
  ["n.a.1", { ...session, overMs: "7" }],
  ["n.a.1", { ...session, handlers: "a" }],
  ["n.a.1", { ...session, handlers: ["a", 7] }],
  ["n.a.1", [session]],
  ["leader", {}],
  ["meta", null],
  ["groups", {}],
  ["groups", { groups: null }],
  ["groups", { groups: { a: [1] } }],
  ["groups", { groups: { a: "b" } }],
])("%s holds no %j", (key, value) => {
  expect(isRecord(key, value)).toBe(false);
});

test("a session is whose it says it is, and else that of its key", () => {
  expect(sessionOf({ key: "n.a.1", value: session })).toBe("a.1");
  expect(sessionOf({ key: "n.a.1", value: { ...session, incarnation: "b.2" } })).toBe("b.2");
  expect(sessionOf({ key: "s.a.1", value: shard })).toBe(undefined);
  expect(sessionOf(undefined)).toBe(undefined);
});
