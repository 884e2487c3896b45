/** Nodes of a fixed list: each keeps what is its own, and nobody takes over what is not. */
import { afterEach, describe, expect, test } from "bun:test";
import { silentLogger } from "../../src/base/logger.ts";
import { Cluster, command, defineEntity } from "../../src/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { listOf } from "./fixtures.ts";
import { Counter, type CounterNode, failureOf, sees, start, stopAll, stopped } from "./nodes.ts";

afterEach(stopAll);

const Fence = defineEntity("fence", {
  messages: { read: command<{}, string>() },
  state: () => null,
  handlers: { read: ({ fence }) => fence },
});

/** An id whose entity is of node `owner`, as `node` knows it. */
function idAt(node: CounterNode, owner: string, name = "counter"): string {
  for (let n = 0; ; n++) if (node.owner(name, `id-${n}`)?.node === owner) return `id-${n}`;
}

function ownersAt(node: CounterNode): (string | undefined)[] {
  return Array.from({ length: 100 }, (_, n) => node.owner("counter", `id-${n}`)?.node);
}

/** All know all shards. */
async function agree(nodes: readonly CounterNode[]): Promise<void> {
  await waitUntil("all know all owners", () =>
    nodes.every((node) => !ownersAt(node).includes(undefined)),
  );
  for (const node of nodes) expect(ownersAt(node)).toEqual(ownersAt(nodes[0]!));
}

describe("a node of a fixed list", () => {
  test("serves its own entities alone, and calls for others wait for them", async () => {
    const list = await listOf(2);
    const first = await start(list, { nodeId: list.ids[0]! });
    // Nobody asks for its lease.
    expect(first.health()).toMatchObject({ ready: true, leaseLeftMs: undefined, reasons: [] });
    expect(new Set(ownersAt(first))).toEqual(new Set<string | undefined>([list.ids[0], undefined]));
    const waiting = ownersAt(first).flatMap((owner, n) => (owner === undefined ? `id-${n}` : []));
    const answers = waiting.map((id) => first.entity("counter", id).send({ type: "count" }));
    await start(list, { nodeId: list.ids[1]! });
    const nodes = (await Promise.all(answers)).map(({ node }) => node);
    expect(new Set(nodes)).toEqual(new Set([list.ids[1]!]));
  });

  test("keeps its entities while others come and go, and never moves one", async () => {
    const list = await listOf(3);
    const [a, b] = [
      await start(list, { nodeId: list.ids[0]! }),
      await start(list, { nodeId: list.ids[1]! }),
    ];
    let moves = 0;
    const c = await start(list, { nodeId: list.ids[2]! });
    await agree([a, b, c]);
    a.on("shard-rebalanced", () => moves++);
    const [here, there] = [idAt(a, a.nodeId), idAt(a, b.nodeId)];
    for (const id of [here, there]) await c.entity("counter", id).send({ type: "count" });
    await c.stop();
    await sees(a, [a.nodeId, b.nodeId]);
    for (const [from, id] of [
      [a, there],
      [b, here],
      [a, here],
    ] as const) {
      const { node } = await from.entity("counter", id).send({ type: "count" });
      expect(node).toBe(id === here ? a.nodeId : b.nodeId);
    }
    expect(await b.entity("counter", here).send({ type: "count" })).toMatchObject({ count: 4 });
    expect(moves).toBe(0);
  });

  test("that is away is waited for at first, then calls fail at once", async () => {
    const list = await listOf(2);
    const a = await start(list, { nodeId: list.ids[0]! });
    const b = await start(list, { nodeId: list.ids[1]! });
    await agree([a, b]);
    const left: unknown[] = [];
    a.on("node-left", (event) => left.push(event));
    const [here, there] = [idAt(a, a.nodeId), idAt(a, b.nodeId)];
    await b.stop();
    await sees(a, [a.nodeId]);
    expect(left).toEqual([{ node: b.nodeId, reason: "left" }]);
    const away = { code: "NODE_AWAY", executed: "no", details: { node: b.nodeId } };
    // One that waits, then those that need not.
    expect(await failureOf(a.entity("counter", there).send({ type: "count" }))).toMatchObject(away);
    expect(await failureOf(a.entity("counter", there).send({ type: "count" }))).toMatchObject(away);
    expect(await failureOf(a.entity("counter", there).tell({ type: "count" }))).toMatchObject(away);
    expect(a.owner("counter", there)).toBeUndefined();
    await a.entity("counter", here).send({ type: "count" });
  });

  test("that comes back is served anew, under a fence that has risen", async () => {
    const list = await listOf(2);
    const options = { ...list.options, shardCount: 32, entities: [Fence, Counter] };
    const a = await stopped(Cluster.start({ ...options, nodeId: list.ids[0]! }));
    const first = await stopped(Cluster.start({ ...options, nodeId: list.ids[1]! }));
    await agree([a, first]);
    const id = idAt(a, first.nodeId, "fence");
    const fence = await a.entity("fence", id).send({ type: "read" });
    const epoch = a.owner("fence", id)!.epoch;
    const joined: unknown[] = [];
    a.on("node-joined", ({ node }) => joined.push(node));
    await first.stop();
    await waitUntil("it is gone", () => a.owner("fence", id) === undefined);
    const call = a.entity("fence", id).send({ type: "read" });
    const second = await stopped(Cluster.start({ ...options, nodeId: list.ids[1]! }));
    expect((await call) > fence).toBe(true);
    expect(a.owner("fence", id)!.epoch).toBeGreaterThan(epoch);
    expect(joined).toEqual([second.nodeId]);
    expect(second.owner("fence", id)).toEqual(a.owner("fence", id));
  });

  test("has one leader, the first of the list, and none while that is away", async () => {
    const list = await listOf(3);
    const b = await start(list, { nodeId: list.ids[1]! });
    const elected: string[] = [];
    b.on("leader-elected", ({ node }) => elected.push(node));
    const a = await start(list, { nodeId: list.ids[0]! });
    await waitUntil("there is a leader", () => elected.length > 0);
    await a.stop();
    await start(list, { nodeId: list.ids[0]! });
    await waitUntil("there is a leader again", () => elected.length > 1);
    await start(list, { nodeId: list.ids[2]! });
    await sees(b, list.ids);
    expect(new Set(elected)).toEqual(new Set([list.ids[0]!]));
  });
});

test("says that a list over a network has no TLS, and of one on loopback nothing", async () => {
  const said: string[] = [];
  const { options } = await listOf(1);
  const log = { ...silentLogger, warn: (_: object, text: string) => void said.push(text) };
  const alone = await stopped(Cluster.start({ ...options, entities: [Counter], log }));
  expect(said).toEqual([]);
  await alone.stop();
  const nodes = [...options.nodes, "http://192.0.2.1:1"];
  const node = await stopped(Cluster.start({ ...options, nodes, entities: [Counter], log }));
  expect(said).toEqual([expect.stringContaining("without TLS, so others may read what nodes say")]);
  const told = await new Promise((resolve) => node.on("unsafe", resolve));
  expect(told).toEqual({ what: said[0]! });
});

describe("a process that is not of the list", () => {
  test("calls all of it, and is called back", async () => {
    const list = await listOf(2);
    const nodes = [
      await start(list, { nodeId: list.ids[0]! }),
      await start(list, { nodeId: list.ids[1]! }),
    ];
    const guest = await stopped(Cluster.start({ ...list.options, shardCount: 32 }));
    await agree(nodes);
    const answers = Array.from({ length: 40 }, (_, n) =>
      guest.entity(Counter, `id-${n}`).send({ type: "count" }),
    );
    const owners = new Set((await Promise.all(answers)).map(({ node }) => node));
    expect(owners).toEqual(new Set(list.ids));
    await sees(nodes[0]!, [...list.ids, guest.nodeId]);
    await guest.stop();
    await sees(nodes[0]!, list.ids);
  });
});
