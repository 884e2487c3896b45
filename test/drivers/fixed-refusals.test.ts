/** Who does not belong to a fixed list is told why, and the nodes that do go on. */
import { afterEach, describe, expect, test } from "bun:test";
import { createServer } from "node:net";
import { silentLogger } from "../../src/base/logger.ts";
import { systemClock } from "../../src/base/clock.ts";
import { systemRandom } from "../../src/base/random.ts";
import { isGreeting } from "../../src/drivers/fixed/greeting.ts";
import { fixed } from "../../src/drivers/fixed/index.ts";
import { readList } from "../../src/drivers/fixed/list.ts";
import { dial } from "../../src/drivers/tcp/handshake.ts";
import type { Wire } from "../../src/drivers/tcp/wire.ts";
import type { Driver } from "../../src/ports/driver.ts";
import { startNode } from "../../src/api/cluster.ts";
import { Cluster, type ClusterOptions, defineEntity } from "../../src/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { listOf, SECRET } from "./fixtures.ts";
import { Counter, type CounterNode, failureOf, start, stopAll, stopped } from "./nodes.ts";

afterEach(stopAll);

const Other = defineEntity("other", { messages: {}, state: () => null, handlers: {} });

const greeting = { incarnation: "guest.1", node: "guest", shardCount: 32, epochs: {} };
const session = { node: "guest", address: "", group: null, weight: 1, leaseMs: 1, load: {} };

/** An entity of the node itself answers. */
async function goesOn(node: CounterNode): Promise<void> {
  const id = Array.from({ length: 500 }, (_, n) => `id-${n}`).find(
    (each) => node.owner("counter", each)?.node === node.nodeId,
  );
  await node.entity("counter", id!).send({ type: "count" });
}

/** A node whose own address leads elsewhere on its machine. */
function elsewhere(urls: readonly string[], nodeId: string): Driver {
  const members = readList(urls).map((member) =>
    member.node === nodeId ? { ...member, host: "127.0.0.2" } : member,
  );
  return fixed(members);
}

function startElsewhere(list: Awaited<ReturnType<typeof listOf>>): Promise<CounterNode> {
  const { nodes, ...options } = list.options;
  const nodeId = list.ids[0]!;
  const more = { nodeId, transport: elsewhere(nodes, nodeId), shardCount: 32 };
  return stopped(Cluster.start({ ...options, ...more, entities: [Counter] }));
}

/** Somebody who knows the secret, and a list of one node. */
async function caller(): Promise<{ readonly wire: Wire; readonly node: CounterNode }> {
  const list = await listOf(1);
  const node = await start(list, { nodeId: list.ids[0]! });
  const address = list.options.nodes[0]!.replace("http://", "");
  const log = silentLogger;
  const who = { cluster: list.options.name, secret: SECRET, log, incarnation: "guest.1" };
  return { node, wire: await dial(address, { ...who, purpose: "node" }) };
}

describe("a node that does not belong to the list", () => {
  test.each<[string, Partial<ClusterOptions<[]>>, object]>([
    [
      "because its list is another one",
      { nodes: ["http://127.0.0.1:1"] },
      { code: "SETTINGS_DIFFER", details: { setting: "nodes" } },
    ],
    [
      "because it has another number of shards",
      { shardCount: 64 },
      { code: "SETTINGS_DIFFER", details: { setting: "shardCount", ours: 64, theirs: 32 } },
    ],
    [
      "because it has other entities",
      { entities: [Other] as never },
      { code: "ENTITY_SETS_DIFFER", details: { ours: "other", theirs: "counter" } },
    ],
    ["because it knows another secret", { secret: "guessed" }, { code: "WRONG_SECRET" }],
    ["because its cluster has another name", { name: "stranger" }, { code: "CLUSTER_MISMATCH" }],
    ["because it is there already", {}, { code: "PORT_TAKEN" }],
  ])("is refused %s", async (_, more, error) => {
    const list = await listOf(2);
    const [id, free] = list.ids;
    const node = await start(list, { nodeId: id! });
    // A list that differs still has this node in it.
    const nodes = [...list.options.nodes, ...(more.nodes ?? [])];
    const nodeId = Object.keys(more).length === 0 ? id! : free!;
    const options = { shardCount: 32, ...list.options, entities: [Counter], ...more };
    const refused = Cluster.start({ ...options, nodes, nodeId } as never);
    expect(await failureOf(refused)).toMatchObject(error);
    await goesOn(node);
    // And whoever belongs there still may come.
    const right = await start(list, { nodeId: free! });
    await waitUntil("they have met", () => node.nodes.length === 2 && right.nodes.length === 2);
  });

  test("is told both lists", async () => {
    const list = await listOf(2);
    const node = await start(list, { nodeId: list.ids[0]! });
    const nodes = [...list.options.nodes, "http://127.0.0.1:1"];
    const [ours, theirs] = [nodes, list.options.nodes].map((urls) =>
      readList(urls)
        .map(({ address }) => address)
        .join(" "),
    );
    const refused = start(list, { nodeId: list.ids[1]!, nodes });
    expect(String(await failureOf(refused))).toContain(
      `Cannot join with nodes ${ours}: it is ${theirs} here`,
    );
    await goesOn(node);
  });

  test("is told when an entry is something else's port", async () => {
    const list = await listOf(2);
    const [mine, theirs] = readList(list.options.nodes);
    const server = createServer((socket) => socket.write("220 a friendly mail server\r\n"));
    await new Promise<void>((resolve) => server.listen(theirs!.port, theirs!.host, resolve));
    const started = start(list, { nodeId: mine!.node });
    expect(await failureOf(started)).toMatchObject({ code: "PORT_TAKEN" });
    server.close();
  });

  test("and that is a guest finds nobody, says so and ends", async () => {
    const list = await listOf(2);
    // Ten seconds of patience pass in one.
    const clock = {
      ...systemClock,
      nowMs: () => systemClock.nowMs() * 10,
      after: (ms: number, run: () => void) => systemClock.after(ms / 10, run),
    };
    const options: ClusterOptions<[]> = { ...list.options, nodeId: "guest" };
    const guest = startNode(options, { clock, random: systemRandom });
    expect(await failureOf(guest)).toMatchObject({ code: "UNAVAILABLE" });
  });
});

describe("of two processes that take themselves for one node", () => {
  test("the second is not let in while somebody hears the first", async () => {
    const list = await listOf(2);
    const first = await start(list, { nodeId: list.ids[0]! });
    const other = await start(list, { nodeId: list.ids[1]! });
    const second = startElsewhere(list);
    expect(await failureOf(second)).toMatchObject({ code: "NODE_ID_TAKEN" });
    for (const node of [first, other]) await goesOn(node);
  });

  test("one ends when a third node shows them to each other", async () => {
    const list = await listOf(2);
    const both = [await start(list, { nodeId: list.ids[0]! }), await startElsewhere(list)];
    for (const node of both) await goesOn(node);
    const third = await start(list, { nodeId: list.ids[1]! });
    const owners = async (): Promise<boolean[]> =>
      Promise.all(
        both.map((node) =>
          goesOn(node).then(
            () => true,
            () => false,
          ),
        ),
      );
    await waitUntil("one of them has ended", async () => (await owners()).includes(false));
    await goesOn(third);
  });
});

test("a greeting whose epochs are text of digits makes no sense", () => {
  const lists = { nodes: [], entities: [], connected: {} };
  expect(isGreeting({ ...greeting, ...lists, epochs: { a: 7 } })).toBe(true);
  expect(isGreeting({ ...greeting, ...lists, epochs: { a: "7" } })).toBe(false);
});

describe("at the port of a node of a list", () => {
  test.each<[string, object]>([
    ["no greeting", {}],
    ["a greeting without lists", greeting],
    ["lists of numbers", { ...greeting, nodes: [1], entities: [2], connected: {} }],
    ["epochs that are no numbers", { ...greeting, nodes: [], entities: [], epochs: { a: "b" } }],
  ])("%s: the connection ends, and the node serves", async (_, said) => {
    const { wire, node } = await caller();
    const ended = new Promise<unknown>((resolve) => wire.onClose(resolve));
    wire.receive(() => true);
    wire.writeJson(said);
    await ended;
    await goesOn(node);
  });

  test.each<[string, object | string]>([
    ["news that is no JSON", "{"],
    ["news of nothing", {}],
    ["a session without an epoch", { session }],
    ["a session that makes no sense", { session: { node: 7 }, epoch: 1 }],
    ["epochs that are no numbers", { epochs: { a: "b" } }],
  ])("%s: the connection ends, and the node serves", async (_, news) => {
    const { wire, node } = await caller();
    const ended = new Promise<unknown>((resolve) => wire.onClose(resolve));
    const theirs = await wire.read();
    wire.writeJson({ ...theirs, ...greeting, entities: [] });
    wire.receive(() => true);
    const text = typeof news === "string" ? news : JSON.stringify(news);
    wire.write(new TextEncoder().encode(text), true);
    await ended;
    await goesOn(node);
  });
});
