/** Records that make no sense, from a node that knows the secret: who is told of them goes on. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { serves, stopAll } from "./nodes.ts";
import { Target } from "./target.ts";

afterEach(stopAll);

let target: Target;

beforeEach(async () => {
  target = await Target.start();
});

afterEach(() => target.stop());

describe("told in a redirect:", () => {
  const place = { group: "counter", shard: 3, channel: 0, sequence: 1 };
  const redirect = { kind: "redirect", ...place, frame: 1, retryMs: 0 };
  const records: readonly [what: string, entry: unknown][] = [
    ["nothing", {}],
    ["a text", "record"],
    ["a shard that is null", forged("s.counter.3", null)],
    ["a shard that is a text", forged("s.counter.3", "mine")],
    ["a shard without an owner", forged("s.counter.3", {})],
    ["a shard with no number", forged("s.counter.three", {})],
    ["a first owner that is null", forged("g.counter", null)],
    ["a session that is null", forged("n.somebody", null)],
    ["groups that are null", forged("groups", null)],
    ["groups of nothing", forged("groups", { groups: { counter: null } })],
    ["a key that is none", { ...forged("", null), key: 7 }],
    ["a revision that is none", { ...forged("s.counter.3", null), revision: "x" }],
  ];
  test.each([...records])("of %s: the node goes on, and others may join it", async (_, entry) => {
    const connection = await target.introduced("link");
    connection.send(target.items({ notes: [{ ...redirect, entry }] }));
    connection.send(target.items({ messages: await target.message("after") }, 2));
    await connection.saysOrEnds("[77,");
    connection.close();
    await serves(target.node);
    await target.welcomes();
  });
});

describe("told to the hub:", () => {
  const odd: readonly [what: string, frame: () => string][] = [
    ["records that are null", () => '{"known":[null]}'],
    ["records that are text", () => '{"known":["a"]}'],
    ["a change of nothing", () => '{"id":1,"changes":[{}]}'],
    ["a change without a value", () => '{"id":1,"changes":[{"key":"fun","expected":0}]}'],
    ["a session without a value", () => change("n.fun", undefined)],
    ["a session that is text", () => change("n.fun.2", "text")],
    ["a shard that is null", () => change("s.counter.7", null)],
    ["a shard that is text", () => change("s.counter.8", "text")],
    ["a shard that is no number", () => change("s.counter.nine", {})],
    ["groups that are null", () => change("groups.2", null)],
    ["a key without a meaning", () => change("x.y", {})],
  ];
  test.each([...odd])("%s: the node goes on, and others may join it", async (_, frame) => {
    const connection = await target.introduced("authority");
    connection.send(frame());
    connection.send('{"id":2,"changes":[]}');
    await connection.saysOrEnds('"id":2');
    connection.close();
    await serves(target.node);
    await target.welcomes();
    expect(target.node.nodes.map(({ node }) => node)).toEqual(["target"]);
  });
});

function forged(key: string, value: unknown): { key: string; revision: unknown } {
  return { key, revision: 2 ** 50, value, operation: "forged" } as never;
}

function change(key: string, value: unknown): string {
  return JSON.stringify({ id: 1, changes: [{ key, expected: 0, value, operation: `odd ${key}` }] });
}
