/** Which entities are hot, as every node of a simulated cluster is told. */
import { describe, expect, test } from "bun:test";
import { Cluster, type ClusterEvents, type ClusterOf, type HotKey } from "../../src/index.ts";
import { defineQuery, handler } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { HOT_KEYS_MAX } from "../../src/base/limits.ts";
import { Counter, type Counters, start } from "./counters.ts";

const TICK_MS = 50;

type Load = Readonly<Record<string, number>>;

/** Sends so many messages a second to each id, for so long. */
async function load(cluster: Counters, perSecond: Load, seconds: number): Promise<void> {
  const owed = new Map<string, number>();
  for (let passed = 0; passed < seconds * 1_000; passed += TICK_MS) {
    const calls = Object.entries(perSecond).flatMap(([id, rate]) => {
      const due = (owed.get(id) ?? 0) + (rate * TICK_MS) / 1_000;
      owed.set(id, due % 1);
      const ref = cluster.node("n1").entity(Counter, id);
      return Array.from({ length: Math.floor(due) }, () => ref.send({ type: "add", n: 1 }));
    });
    await cluster.run(Promise.all(calls));
    await cluster.advance(TICK_MS);
  }
}

function listen(node: ClusterOf<never>): ClusterEvents["hot-key"][] {
  const heard: ClusterEvents["hot-key"][] = [];
  node.on("hot-key", (event) => heard.push(event));
  return heard;
}

const idsOf = (keys: readonly { readonly id: string }[]): string[] =>
  keys.map(({ id }) => id).sort();

/** Many ids with the same rate. */
const crowd = (perSecond: number): Load =>
  Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`c-${n}`, perSecond]));

describe("a hot key", () => {
  test("is told of once on every node, also on those that host nothing", async () => {
    await using cluster = await start({ nodes: 3 });
    await cluster.join("guest", { entities: [] });
    const heard = cluster.names.map((name) => listen(cluster.node(name)));
    await load(cluster, { ...crowd(20), hot: 2_000 }, 4);
    const node = cluster.node("n1").owner("counter", "hot")!.node;
    for (const [at, name] of cluster.names.entries()) {
      expect(heard[at]).toEqual([{ name: "counter", id: "hot", share: expect.any(Number) }]);
      const [key, ...others] = cluster.node(name).hotKeys();
      expect(others).toEqual([]);
      expect(key).toMatchObject({ name: "counter", id: "hot", node });
      expect(key!.share).toBeGreaterThan(0.7);
      expect(key!.perSecond).toBeGreaterThan(1_700);
      expect(key!.perSecond).toBeLessThan(2_300);
    }
  });

  test("may be the key of a message, and has its name", async () => {
    const Get = defineQuery<{ id: string }, string>("hot.get", {
      route: { strategy: "consistentHash", key: "id" },
    });
    const handlers = [handler(Get, ({ id }) => id)];
    await using cluster = await TestCluster.start({ nodes: 2, handlers });
    const heard = listen(cluster.node("n2"));
    for (let n = 0; n < 60; n++) {
      const calls = Array.from({ length: 50 }, () => cluster.node("n1").send(Get({ id: "lamp" })));
      await cluster.run(Promise.all(calls));
      await cluster.advance(TICK_MS);
    }
    expect(heard).toEqual([{ name: "hot.get", id: "lamp", share: expect.any(Number) }]);
    expect(cluster.node("n2").hotKeys()).toMatchObject([{ name: "hot.get", id: "lamp" }]);
  });

  test("has a large share, and is asked often", async () => {
    await using cluster = await start({ nodes: 1 });
    const heard = listen(cluster.node("n1"));
    await load(cluster, crowd(120), 3);
    await load(cluster, { alone: 60 }, 10);
    expect(heard).toEqual([]);
    expect(cluster.node("n1").hotKeys()).toEqual([]);
  });

  test("stays one until it has half of that, and is not told of again and again", async () => {
    await using cluster = await start({ nodes: 2 });
    const heard = listen(cluster.node("n2"));
    for (const perSecond of [200, 70, 110, 60, 200, 90]) await load(cluster, { hot: perSecond }, 8);
    expect(heard.length).toBe(1);
    await load(cluster, { cool: 30 }, 30);
    expect(cluster.node("n2").hotKeys()).toEqual([]);
    await load(cluster, { hot: 200 }, 8);
    expect(heard.length).toBe(2);
  });

  test("is its owner's, wherever that is", async () => {
    await using cluster = await start({ nodes: 2 });
    await load(cluster, { hot: 500 }, 3);
    const before = cluster.node("n1").hotKeys()[0]!.node;
    // Whoever is asked now, n1 sends.
    if (before === "n2") await cluster.leave("n2");
    else await moveAway(cluster);
    await load(cluster, { hot: 500 }, 3);
    const keys = cluster.node("n1").hotKeys();
    expect(keys.map(({ id, node }) => [id, node])).toEqual([
      ["hot", cluster.node("n1").owner("counter", "hot")!.node],
    ]);
    expect(keys[0]!.node).not.toBe(before);
  });

  test("is no longer one when its node has died", async () => {
    await using cluster = await start({ nodes: 3 });
    await cluster.advance("1s");
    const owned = Array.from({ length: 20 }, (_, n) => `k-${n}`).find(
      (id) => cluster.node("n1").owner("counter", id)?.node === "n3",
    )!;
    await load(cluster, { [owned]: 500 }, 3);
    expect(idsOf(cluster.node("n1").hotKeys())).toEqual([owned]);
    cluster.kill("n3");
    await cluster.advance("3s");
    expect(cluster.node("n1").hotKeys()).toEqual([]);
  });

  test("is one of a few that a node tells of, sorted by how often they are asked", async () => {
    await using cluster = await start({ nodes: 1 });
    const rates = Object.fromEntries(Array.from({ length: 9 }, (_, n) => [`k-${n}`, 300 + 60 * n]));
    await load(cluster, rates, 5);
    const keys: readonly HotKey[] = cluster.node("n1").hotKeys();
    expect(keys.map(({ id }) => id)).toEqual(["k-8", "k-7", "k-6", "k-5", "k-4"]);
    expect(keys.length).toBe(HOT_KEYS_MAX);
  });

  test("is one of ten that its own node shows", async () => {
    await using cluster = await start({ nodes: 1 });
    const rates = Object.fromEntries(Array.from({ length: 14 }, (_, n) => [`k-${n}`, 300]));
    await load(cluster, rates, 3);
    expect(cluster.node("n1").figures().hotKeys.length).toBe(10);
  });
});

/** Brings "hot", which n1 owns, to another node by letting nodes join. */
async function moveAway(cluster: Counters): Promise<void> {
  for (let n = 3; cluster.node("n1").owner("counter", "hot")?.node === "n1"; n++) {
    await cluster.join(`n${n}`);
    await cluster.advance("1s");
  }
}

test("a hot key is told of by real nodes", async () => {
  await using node = await Cluster.start({ transport: "memory", entities: [Counter] });
  const heard = listen(node);
  const ref = node.entity("counter", "hot");
  while (heard.length === 0) await ref.send({ type: "add", n: 1 });
  expect(heard).toEqual([{ name: "counter", id: "hot", share: 1 }]);
  expect(node.hotKeys()).toMatchObject([{ name: "counter", id: "hot", node: node.nodeId }]);
  expect(node.nodes[0]).not.toHaveProperty("hot");
});
