/** Whether a node gets on: what flips readiness, what is told of as stuck, and how it ends. */
import { afterEach, expect, test } from "bun:test";
import { command, defineCommand, defineEntity, handler, query } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { failureOf } from "../drivers/nodes.ts";

const gates: (() => void)[] = [];

const Account = defineEntity("account", {
  messages: {
    deposit: command<{ readonly waits?: boolean }>({ timeout: "1h" }),
    look: query<void, void>({ timeout: "1h" }),
    tick: command(),
  },
  state: () => ({}),
  handlers: {
    deposit: (_, { waits = false }) =>
      waits ? new Promise<void>((resolve) => void gates.push(resolve)) : undefined,
    look: () => new Promise<void>((resolve) => void gates.push(resolve)),
    tick() {},
  },
});

const Ship = defineCommand("ship", { timeout: "1h" });
const handlers = [handler(Ship, () => new Promise<void>((resolve) => void gates.push(resolve)))];

afterEach(() => {
  for (const open of gates.splice(0)) open();
});

/** A cluster, and what its first node calls stuck. */
async function start(nodes: number) {
  const cluster = await TestCluster.start({ nodes, entities: [Account], handlers, shardCount: 16 });
  await cluster.advance("1s");
  const stuck: string[] = [];
  const node = cluster.node("n1");
  node.on("stuck", ({ what }) => stuck.push(what));
  return { cluster, node, stuck };
}

test("a node that has nothing to do is ready, and says so", async () => {
  const { cluster, node } = await start(2);
  await using _ = cluster;
  const { leaseLeftMs, ...health } = node.health();
  expect(leaseLeftMs).toBeWithin(500, 801);
  expect(health).toEqual({
    ready: true,
    joined: true,
    oldestMessageMs: 0,
    oldestHandoffMs: 0,
    eventLoopLagMs: 0,
    stuck: [],
    reasons: [],
  });
});

test("a handler that does not end is named, and so is the message behind it; once", async () => {
  const { cluster, node, stuck } = await start(1);
  await using _ = cluster;
  const account = node.entity("account", "42");
  const wedged = account.send({ type: "deposit", waits: true });
  await cluster.advance("10s");
  const behind = [account.send({ type: "deposit" }), account.send({ type: "deposit" })];
  await cluster.advance("14s");
  expect(node.health()).toMatchObject({ ready: true, oldestMessageMs: 14_000 });
  await cluster.advance("2s");
  expect(node.health()).toMatchObject({ ready: false, reasons: ["messages"], stuck: [] });
  await cluster.advance("20s");
  const handlerHasRun = 'account/42: handler "deposit" has run for 30 s';
  expect(stuck).toEqual([handlerHasRun, 'account/42: message "deposit" has waited for 30 s']);
  const told = node.health().stuck.map(({ what }) => what);
  expect(told).toEqual([
    'account/42: handler "deposit" has run for 46 s',
    'account/42: message "deposit" has waited for 36 s',
  ]);
  gates.shift()!();
  await cluster.run(Promise.all([wedged, ...behind]));
  expect(node.health()).toMatchObject({ ready: true, oldestMessageMs: 0, stuck: [] });
  const again = account.send({ type: "deposit", waits: true });
  await cluster.advance("40s");
  expect(stuck.slice(2)).toEqual([handlerHasRun]);
  gates.shift()!();
  await cluster.run(again);
});

test("of queries side by side each is told, and none that has ended", async () => {
  const { cluster, node, stuck } = await start(1);
  await using _ = cluster;
  const account = node.entity("account", "1");
  const first = account.send({ type: "look" });
  await cluster.advance("20s");
  const second = account.send({ type: "look" });
  await cluster.advance("5s");
  gates.shift()!();
  await cluster.run(first);
  await cluster.advance("20s");
  expect(stuck).toEqual([]);
  await cluster.advance("7s");
  expect(stuck).toEqual(['account/1: handler "look" has run for 30 s']);
  gates.shift()!();
  await cluster.run(second);
});

test("a handler of a message with its own name is named", async () => {
  const { cluster, node, stuck } = await start(1);
  await using _ = cluster;
  const sent = node.send(Ship());
  await cluster.advance("32s");
  expect(stuck).toEqual(["ship: its handler has run for 30 s"]);
  expect(node.health().ready).toBe(true);
  gates.shift()!();
  await cluster.run(sent);
});

test("who is cut off from the authority is not ready before its lease is over", async () => {
  const { cluster, node } = await start(3);
  await using _ = cluster;
  cluster.isolate("n1");
  await cluster.advance(500);
  expect(node.health()).toMatchObject({ ready: false, joined: true, reasons: ["lease"] });
  expect(cluster.node("n2").health().ready).toBe(true);
  cluster.heal();
  await cluster.advance("5s");
  expect(node.health()).toMatchObject({ ready: true, reasons: [] });
});

test("a node whose session is over is not ready until it has joined anew", async () => {
  const { cluster, node } = await start(2);
  await using _ = cluster;
  cluster.restore();
  await cluster.advance("1s");
  expect(node.health()).toMatchObject({ ready: false, joined: false, leaseLeftMs: 0 });
  expect(node.health().reasons).toEqual(["joined", "lease"]);
  await cluster.advance("5s");
  expect(node.health()).toMatchObject({ ready: true, joined: true });
});

test("messages that no other node takes make a node unready, and are named", async () => {
  const { cluster, node, stuck } = await start(2);
  await using _ = cluster;
  const id = Array.from({ length: 40 }, (__, n) => `${n}`).find(
    (each) => node.owner("account", each)?.node === "n2",
  )!;
  cluster.partition(["n1"], ["n2"]);
  const lost = failureOf(cluster.run(node.entity("account", id).send({ type: "tick" })));
  await cluster.advance("16s");
  expect(node.health()).toMatchObject({ ready: false, reasons: ["messages"] });
  await cluster.advance("16s");
  const what = `account/${id}: message "tick" has waited for its owner to take it for 30 s`;
  expect(stuck).toEqual([what]);
  cluster.heal();
  await lost;
  await cluster.advance("5s");
  expect(node.health()).toMatchObject({ ready: true, stuck: [] });
});

test("what has waited for longest counts, to whichever shard it is", async () => {
  const { cluster, node } = await start(2);
  await using _ = cluster;
  const ids = Array.from({ length: 40 }, (__, n) => `${n}`).filter(
    (each) => node.owner("account", each)?.node === "n2",
  );
  cluster.partition(["n1"], ["n2"]);
  const lost: Promise<unknown>[] = [];
  for (const [n, id] of ids.entries()) {
    lost.push(failureOf(cluster.run(node.entity("account", id).send({ type: "tick" }))));
    await cluster.advance(100);
    expect(node.health().oldestMessageMs).toBeWithin(100 * (n + 1) - 5, 100 * (n + 1) + 5);
  }
  cluster.heal();
  await cluster.run(Promise.all(lost));
});

test("a loop that is late by a second is enough, one that is late by a fifth is not", async () => {
  const { cluster, node } = await start(1);
  await using _ = cluster;
  cluster.block("n1", 300);
  await cluster.advance(500);
  expect(node.health()).toMatchObject({ ready: true });
  await cluster.advance("5s");
  cluster.block("n1", "1s");
  await cluster.advance(1_200);
  expect(node.health().reasons).toContain("event-loop");
});

test("a shard that does not get away is noticed, and is over when it has moved", async () => {
  const { cluster, node, stuck } = await start(1);
  await using _ = cluster;
  const ids = Array.from({ length: 64 }, (__, n) => `${n}`);
  const wedged = Promise.allSettled(
    ids.map((id) => node.entity("account", id).send({ type: "look" })),
  );
  await cluster.join("n2");
  await cluster.advance("32s");
  expect(node.health()).toMatchObject({ ready: false, reasons: ["handoff"] });
  expect(stuck.join()).toMatch(/shard \d+ of ".+": its move has taken for 30 s/);
  const { underway, finished, failed } = node.figures().shards;
  expect(failed).toBeGreaterThan(10);
  expect([underway <= 8, finished]).toEqual([true, 0]);
  for (const open of gates.splice(0)) open();
  await cluster.run(wedged);
  await cluster.advance("10s");
  expect(node.health()).toMatchObject({ ready: true, oldestHandoffMs: 0, stuck: [] });
  const { shards } = node.figures();
  expect(shards).toMatchObject({ underway: 0, finished: 16 - shards.owned });
});

test("a move that the cluster gives up is not waited for", async () => {
  const { cluster, node } = await start(1);
  await using _ = cluster;
  const ids = Array.from({ length: 64 }, (__, n) => `${n}`);
  const wedged = Promise.allSettled(
    ids.map((id) => node.entity("account", id).send({ type: "look" })),
  );
  await cluster.join("n2");
  await cluster.advance("20s");
  expect(node.health().oldestHandoffMs).toBeGreaterThan(15_000);
  expect(node.health().ready).toBe(true);
  cluster.kill("n2");
  await cluster.advance("5s");
  expect(node.health().oldestHandoffMs).toBe(0);
  for (const open of gates.splice(0)) open();
  await cluster.run(wedged);
});

test("a loop that was held up shows for a moment, and nothing is stuck because of it", async () => {
  const { cluster, node, stuck } = await start(1);
  await using _ = cluster;
  const account = node.entity("account", "1");
  const sent = account.send({ type: "look" });
  cluster.block("n1", "40s");
  await cluster.advance("40s");
  gates.shift()!();
  await cluster.advance(100);
  await cluster.run(sent);
  expect(node.health().reasons).toContain("event-loop");
  expect(node.health().eventLoopLagMs).toBeWithin(39_000, 41_000);
  await cluster.advance("5s");
  expect(node.health()).toMatchObject({ ready: true, eventLoopLagMs: 0 });
  expect(stuck).toEqual([]);
});
