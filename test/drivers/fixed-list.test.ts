/** What the entries of a fixed list mean, and which of them a process is. */
import { describe, expect, test } from "bun:test";
import { hostname } from "node:os";
import { nodeOfList, readList } from "../../src/drivers/fixed/list.ts";
import { Cluster } from "../../src/index.ts";
import { Counter, failureOf } from "./nodes.ts";

describe("a list of nodes", () => {
  test("names each node after its host, and after its port where several share one", () => {
    const list = readList(["http://B:5000", "tcp://a.example:80/", "http://[::1]:7", "http://c:1"]);
    expect(list.map(({ node, address }) => [node, address])).toEqual([
      ["1", "::1:7"],
      ["a.example", "a.example:80"],
      ["b", "b:5000"],
      ["c", "c:1"],
    ]);
    const shared = readList(["http://10.0.0.1:5001", "http://10.0.0.1:5000"]);
    expect(shared.map(({ node }) => node)).toEqual(["10.0.0.1-5000", "10.0.0.1-5001"]);
  });

  test("means the same in any order", () => {
    const urls = ["http://a:1", "http://b:2", "http://c:3"];
    expect(readList(urls.toReversed())).toEqual(readList(urls));
  });

  test.each([
    [[]],
    ["http://a:1"],
    [[""]],
    [["a:1"]],
    [["http://a"]],
    [["http://a:0"]],
    [["http://a:65536"]],
    [["https://a:1"]],
    [["http://a:1/path"]],
    [["http://user@a:1"]],
    [["http://a b:1"]],
    [[7]],
    [[{ toString: 7 }]],
    [["http://a:1", "http://A:1"]],
  ])("is refused as %j", (urls) => {
    expect(() => readList(urls as string[])).toThrow(TypeError);
  });
});

describe("the node of a process", () => {
  const list = readList(["http://a:1", "http://b:2"]);
  const entities = [Counter];

  test("is the entry that its id names: by id, address or URL", () => {
    for (const nodeId of ["b", "b:2", "http://b:2"])
      expect(nodeOfList(list, { nodeId, entities })).toBe("b");
  });

  test("is the only entry on this machine, when it has no id", () => {
    const here = readList(["http://a:1", `http://${hostname()}:2`]);
    expect(nodeOfList(here, { entities })).toBe(hostname().toLowerCase());
    expect(nodeOfList(readList(["http://a:1", "http://127.0.0.1:2"]), { entities })).toBe(
      "127.0.0.1",
    );
  });

  test("must be found when it has entities, and the error says what to write", () => {
    const here = readList(["http://127.0.0.1:1", "http://127.0.0.1:2"]);
    expect(() => nodeOfList(here, { entities })).toThrow("127.0.0.1-1, 127.0.0.1-2");
    expect(() => nodeOfList(list, { entities })).toThrow("set nodeId to one of a, b");
    expect(() => nodeOfList(list, { nodeId: "c", entities })).toThrow("set nodeId to one of a, b");
  });

  test("is none of the list when it only calls and does not say that it is", () => {
    expect(nodeOfList(readList(["http://127.0.0.1:1"]), {})).toBeUndefined();
    expect(nodeOfList(list, { nodeId: "c" })).toBe("c");
  });
});

test.each([
  [{ transport: "memory" }, "leave transport out"],
  [{ secret: undefined }, "a secret"],
  [{ weight: 2 }, "leave weight out"],
] as const)("a list goes not together with %j", async (more, text) => {
  const options = { nodes: ["http://a:1"], nodeId: "a", secret: "s", entities: [Counter] };
  expect(String(await failureOf(Cluster.start({ ...options, ...more } as never)))).toContain(text);
});
