/** What a node counts, in simulated time: each figure is provoked, and found. */
import { expect, test } from "bun:test";
import {
  command,
  defineCommand,
  defineEntity,
  defineQuery,
  handler,
  isCatgaError,
  query,
  type Schema,
} from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { failureOf } from "../drivers/nodes.ts";

const never: Schema<{ readonly n: number }> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: () => ({ issues: [{ message: "is wrong" }] }),
  },
};

const gates: (() => void)[] = [];

const Account = defineEntity("account", {
  messages: {
    deposit: command(),
    crash: command(),
    strict: command({ input: never }),
    wait: command<void>({ timeout: "1h" }),
    take: command<void>({ timeout: 50 }),
    look: query<void, string>(),
  },
  state: () => ({}),
  mailboxCapacity: 2,
  rateLimit: { perSecond: 1_000, burst: 50 },
  persistence: "write-through",
  handlers: {
    deposit() {},
    crash() {
      throw new Error("no");
    },
    strict() {},
    wait: () => new Promise<void>((resolve) => void gates.push(resolve)),
    take() {},
    look: ({ id }) => id,
  },
});

const Price = defineQuery<{ readonly of: string }, string>("price", { cache: { ttl: "1m" } });
const Pack = defineCommand("pack", { timeout: "1h", concurrency: 1 });
const Post = defineCommand<{ readonly to: string }>("post", {
  route: { strategy: "consistentHash", key: "to" },
});
const Weigh = defineCommand<{ readonly n: number }>("weigh", { input: never });
const handlers = [
  handler(Price, ({ of }) => of),
  handler(Pack, () => new Promise<void>((resolve) => void gates.push(resolve))),
  handler(Weigh, () => {}),
  handler(Post, () => {}),
];

async function start(nodes: number) {
  const cluster = await TestCluster.start({ nodes, entities: [Account], handlers, shardCount: 16 });
  await cluster.advance("1s");
  const node = cluster.node("n1");
  const of = (message: string) => node.figures().messages.find((each) => each.message === message)!;
  return { cluster, node, of };
}

test("how messages ended is counted, by their types", async () => {
  const { cluster, node, of } = await start(1);
  await using _ = cluster;
  const account = node.entity("account", "1");
  for (let n = 0; n < 3; n++) await cluster.run(account.send({ type: "deposit" }));
  await cluster.run(account.tell({ type: "deposit" }));
  await failureOf(cluster.run(account.send({ type: "crash" })));
  await failureOf(cluster.run(account.send({ type: "strict", n: 1 })));
  const wedged = account.send({ type: "wait" });
  const late = failureOf(account.send({ type: "take" }));
  const behind = account.send({ type: "deposit" });
  await failureOf(cluster.run(account.send({ type: "deposit" })));
  expect(node.figures().entities).toEqual([
    { entity: "account", active: 1, activated: 1, passivated: 0, waiting: 2, running: 1 },
  ]);
  await cluster.advance(700);
  gates.shift()!();
  await cluster.run(Promise.all([wedged, late, behind]));
  expect(of("deposit")).toEqual({
    entity: "account",
    message: "deposit",
    ok: 5,
    failed: 0,
    refused: 0,
    overloaded: 0,
    full: 1,
    limited: 0,
    expired: 0,
    totalMs: 0,
    took: [5, 0, 0, 0, 0, 0, 0, 0],
  });
  expect([of("crash").failed, of("strict").refused, of("take").expired]).toEqual([1, 1, 1]);
  expect(of("wait")).toMatchObject({ ok: 1, took: [0, 0, 0, 0, 0, 1, 0, 0] });
  expect(of("wait").totalMs).toBeWithin(700, 702);
  const flood = Array.from({ length: 60 }, () => failureOf(account.send({ type: "look" })));
  await cluster.run(Promise.all(flood));
  expect([of("look").ok, of("look").limited]).toEqual([50, 10]);
});

test("messages with a name of their own are counted, those that had no room too", async () => {
  const { cluster, node, of } = await start(1);
  await using _ = cluster;
  const first = node.send(Pack());
  const second = failureOf(node.send(Pack(), { retries: 0 }));
  expect(isCatgaError(await cluster.run(second), "OVERLOADED")).toBe(true);
  await failureOf(cluster.run(node.send(Weigh({ n: 1 }))));
  // One with a key runs as an entity, of which nobody needs to know.
  await cluster.run(node.send(Post({ to: "ada" })));
  expect(of("post")).toMatchObject({ entity: "", ok: 1 });
  expect(node.figures().entities.map(({ entity }) => entity)).toEqual(["account"]);
  expect(node.figures().handling).toBe(1);
  gates.shift()!();
  await cluster.run(first);
  expect(of("pack")).toMatchObject({ entity: "", ok: 1, overloaded: 1, failed: 0, refused: 0 });
  expect(of("weigh")).toMatchObject({ ok: 0, overloaded: 0, failed: 0, refused: 1 });
  expect(node.figures().handling).toBe(0);
});

test("what the store was asked is counted", async () => {
  const { cluster, node } = await start(1);
  await using _ = cluster;
  await cluster.run(node.entity("account", "1").send({ type: "deposit" }));
  expect(node.figures().store).toEqual({ reads: 1, writes: 1, conflicts: 0, failed: 0 });
  cluster.store({ drop: 1 });
  const lost = failureOf(node.entity("account", "2").send({ type: "deposit" }));
  await cluster.run(lost);
  expect(node.figures().store!.failed).toBeGreaterThan(0);
});

test("calls to another node are counted on both sides, with what went over the link", async () => {
  const { cluster, node } = await start(2);
  await using _ = cluster;
  const other = cluster.node("n2");
  const ids = Array.from({ length: 40 }, (__, n) => `${n}`);
  const remote = ids.filter((id) => node.owner("account", id)?.node === "n2");
  for (const id of remote) await cluster.run(node.entity("account", id).send({ type: "deposit" }));
  await failureOf(cluster.run(node.entity("account", remote[0]!).send({ type: "crash" })));
  const { calls, links, shards, entities } = node.figures();
  expect(calls).toEqual({
    inFlight: 0,
    answered: remote.length,
    failed: { HANDLER_FAILED: 1 },
  });
  expect(shards.owned + other.figures().shards.owned).toBe(16);
  expect(entities[0]!.active).toBe(0);
  const [theirs] = other.figures().links;
  expect(links).toEqual([{ ...links[0]!, node: "n2", isUp: true, resent: 0 }]);
  expect(links[0]!.itemsOut).toBeGreaterThan(remote.length);
  expect(links[0]!.framesOut).toBe(theirs!.framesIn);
  expect(links[0]!.bytesIn).toBe(theirs!.bytesOut);
  expect(links[0]!.itemsOut).toBe(theirs!.itemsIn);
  cluster.partition(["n1"], ["n2"]);
  const call = failureOf(node.entity("account", remote[0]!).send({ type: "deposit" }));
  await cluster.advance("1s");
  expect(node.figures().calls.inFlight).toBe(1);
  expect(node.figures().links).toMatchObject([{ isUp: false }]);
  await cluster.run(call);
  expect(node.figures().calls.failed["CALL_TIMEOUT"]).toBe(1);
  cluster.heal();
  await cluster.advance("5s");
  expect(node.figures().links).toMatchObject([{ isUp: true }]);
});

test("frames that were lost are counted as sent again", async () => {
  const { cluster, node } = await start(2);
  await using _ = cluster;
  const id = Array.from({ length: 40 }, (__, n) => `${n}`).find(
    (each) => node.owner("account", each)?.node === "n2",
  )!;
  cluster.network({ drop: 1 });
  const sent = node.entity("account", id).send({ type: "deposit" });
  await cluster.advance("1s");
  const [before] = node.figures().links;
  expect(before!.isUp).toBe(false);
  expect(before!.resent).toBeGreaterThan(0);
  cluster.network({});
  await cluster.run(sent);
  const [after] = node.figures().links;
  expect(after!.isUp).toBe(true);
  expect(after!.resent).toBeGreaterThanOrEqual(before!.resent);
});

test("a cache and a hot key show", async () => {
  const { cluster, node, of } = await start(1);
  await using _ = cluster;
  for (let n = 0; n < 3; n++) await cluster.run(node.send(Price({ of: "tea" })));
  expect(node.figures().caches).toMatchObject([{ entity: "", hits: 2, misses: 1, entries: 1 }]);
  expect(of("price")).toMatchObject({ entity: "", ok: 1 });
  for (let n = 0; n < 400; n++) {
    await cluster.run(node.entity("account", n % 2 === 0 ? "hot" : `${n}`).send({ type: "look" }));
    await cluster.advance(2);
  }
  const [key] = node.figures().hotKeys;
  expect(key).toMatchObject({ name: "account", id: "hot", error: 0 });
  expect(key!.share).toBeWithin(0.45, 0.55);
});

test("a circuit shows while it is open", async () => {
  const { cluster, node } = await start(1);
  await using _ = cluster;
  const Ship = defineCommand("ship", { timeout: 100 });
  await cluster.join("n2", { handlers: [...handlers, handler(Ship, () => {})] });
  await cluster.run(node.send(Ship()));
  expect(node.figures().openCircuits).toEqual([]);
  cluster.partition(["n1"], ["n2"]);
  for (let n = 0; n < 5; n++) await failureOf(cluster.run(node.send(Ship(), { retries: 0 })));
  expect(node.figures().openCircuits).toEqual([{ node: "n2", message: "ship" }]);
  cluster.heal();
  await cluster.advance("5s");
  await cluster.run(node.send(Ship()));
  expect(node.figures().openCircuits).toEqual([]);
});
