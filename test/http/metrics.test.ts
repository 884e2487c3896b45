/** `/metrics` and `/healthz/ready` over sockets, on two nodes, read by a parser of others. */
import { afterEach, describe, expect, test } from "bun:test";
import parse from "parse-prometheus-text-format";
import { gateway, type GatewayCluster, type GatewayOptions, listen } from "../../src/http/index.ts";
import {
  Cluster,
  type ClusterOf,
  command,
  defineEntity,
  defineQuery,
  handler,
  query,
} from "../../src/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { failureOf, meeting, stopAll, stopped } from "../drivers/nodes.ts";
import { refusalOf } from "./served.ts";

const gate = { opened: Promise.withResolvers<void>() };

const Account = defineEntity("account", {
  messages: {
    deposit: command<{ readonly amount: number }, number>(),
    crash: command(),
    wait: command(),
    balance: query<void, number>(),
  },
  state: () => ({ balance: 0 }),
  mailboxCapacity: 1,
  handlers: {
    deposit: ({ state }, { amount }) => (state.balance += amount),
    crash() {
      throw new Error("no");
    },
    wait: () => gate.opened.promise,
    balance: ({ state }) => state.balance,
  },
});
const Price = defineQuery<{ readonly of: string }, string>("price", { cache: { ttl: "1m" } });
const handlers = [handler(Price, ({ of }) => of)];
const HOSTILE = 'a"b\\c,d="{}';

const auth = ({ headers }: Request) =>
  headers.get("Authorization") === "token" ? { subject: "ada" } : undefined;
const nodeWith = (given: object): GatewayCluster =>
  ({ nodeId: "a", health: () => given, beforeStop: () => () => {} }) as never;

const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  gate.opened.resolve();
  for (const close of closing.splice(0)) await close();
  await stopAll();
});

/** Serves `cluster`; asks for a path of it. */
async function served(cluster: GatewayCluster, options: Partial<GatewayOptions> = {}) {
  const app = gateway(cluster, { expose: [Account], ...options });
  const { url, close } = await listen(app, { port: 0 });
  closing.push(close);
  return (path: string, init?: RequestInit) => fetch(url + path, init);
}

type Ask = Awaited<ReturnType<typeof served>>;

/** The value of a sample; `undefined` for one that is not there. */
async function scrape(ask: Ask) {
  const response = await ask("/metrics");
  expect(response.headers.get("Content-Type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  const families = parse(await response.text());
  const of = (name: string) => families.find((each) => each.name === name)?.metrics ?? [];
  return {
    names: families.map(({ name }) => name),
    of,
    value(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
      const sample = of(name).find((each) =>
        Object.entries(labels).every(([label, value]) => each.labels?.[label] === value),
      );
      return sample?.value === undefined ? undefined : Number(sample.value);
    },
  };
}

async function twoNodes(): Promise<
  readonly [ClusterOf<typeof Account>, ClusterOf<typeof Account>]
> {
  const { options } = await meeting();
  const start = (nodeId: string) =>
    stopped(Cluster.start({ ...options, nodeId, shardCount: 16, entities: [Account], handlers }));
  const nodes = [await start("a"), await start("b")] as const;
  await waitUntil("both own shards", () =>
    nodes.every(
      (node) => node.figures().shards.owned === 8 && node.figures().shards.underway === 0,
    ),
  );
  return nodes;
}

describe("/metrics", () => {
  test("has every figure that was provoked, with its value, on both nodes", async () => {
    const [a, b] = await twoNodes();
    const ids = Array.from({ length: 64 }, (_, n) => `${n}`);
    const remote = ids.filter((id) => a.owner("account", id)?.node === "b");
    const local = ids.filter((id) => a.owner("account", id)?.node === "a");
    for (const id of ids) await a.entity("account", id).send({ type: "deposit", amount: 1 });
    await failureOf(a.entity("account", remote[0]!).send({ type: "crash" }));
    const held = a.entity("account", local[0]!);
    const waits = [held.send({ type: "wait" }), held.send({ type: "wait" })];
    await failureOf(held.send({ type: "wait" }));
    for (let n = 0; n < 3; n++) await a.send(Price({ of: "tea" }));
    const ofA = await scrape(await served(a));
    const ofB = await scrape(await served(b));
    const deposit = { entity: "account", message: "deposit" };
    expect(ofA.value("catga_turns_total", { ...deposit, outcome: "ok" })).toBe(local.length);
    expect(ofB.value("catga_turns_total", { ...deposit, outcome: "ok" })).toBe(remote.length);
    expect(ofB.value("catga_turns_total", { message: "crash", outcome: "failed" })).toBe(1);
    expect(ofA.value("catga_turns_total", { message: "wait", outcome: "full" })).toBe(1);
    expect(ofA.value("catga_entities", { entity: "account" })).toBe(local.length);
    expect(ofA.value("catga_messages_waiting", { entity: "account" })).toBe(1);
    expect(ofA.value("catga_turns_running", { entity: "account" })).toBe(1);
    expect(ofA.value("catga_calls_total", { outcome: "HANDLER_FAILED" })).toBe(1);
    expect(ofA.value("catga_calls_total", { outcome: "ok" })).toBeGreaterThanOrEqual(remote.length);
    expect(ofA.value("catga_link_up", { node: "b" })).toBe(1);
    expect(ofA.value("catga_link_sent_bytes_total", { node: "b" })).toBeGreaterThan(1_000);
    expect(ofA.value("catga_shards")).toBe(8);
    expect(ofA.value("catga_shard_moves_total")).toBe(8);
    expect(ofA.value("catga_cache_hits_total", { entity: "" })).toBe(2);
    expect(ofA.value("catga_ready")).toBe(1);
    expect(ofA.value("catga_lease_left_seconds")).toBeGreaterThan(1);
    expect(ofA.names).toContain("process_cpu_seconds_total");
    // Bun would walk its whole heap for these, and do nothing else meanwhile.
    expect(ofA.names.filter((name) => name.includes("heap_space"))).toEqual([]);
    gate.opened.resolve();
    await Promise.all(waits);
  });

  test("has buckets of how long turns ran, each with those before it", async () => {
    const node = await stopped(Cluster.start({ transport: "memory", entities: [Account] }));
    const account = node.entity("account", "1");
    for (let n = 0; n < 5; n++) await account.send({ type: "balance" });
    const text = await (await (await served(node))("/metrics")).text();
    const name = "catga_turn_duration_seconds";
    // The parser puts the buckets of all labels together: it is given those of one message.
    const lines = text.split("\n").filter((line) => line.includes(` ${name} `));
    const own = text.split("\n").filter((line) => line.includes('message="balance"'));
    const timed = [...lines, ...own.filter((line) => line.startsWith(name)), ""].join("\n");
    const [{ type, metrics }] = parse(timed) as [ReturnType<typeof parse>[number]];
    expect([type, Object.keys(metrics[0]!.buckets!).length]).toEqual(["HISTOGRAM", 8]);
    expect(metrics).toMatchObject([{ buckets: { "+Inf": "5", "10": "5" } }]);
    expect(timed).toContain(`${name}_count{entity="account",message="balance"} 5\n`);
    expect(timed).toMatch(/_sum\{entity="account",message="balance"\} 0\.0\d+\n/);
  });

  test("names only the hottest entities, whatever their ids are made of", async () => {
    const node = await stopped(Cluster.start({ transport: "memory", entities: [Account] }));
    const ask = await served(node);
    const account = node.entity("account", HOSTILE);
    await waitUntil("it is hot", async () => {
      for (let n = 0; n < 500; n++) await account.send({ type: "balance" });
      for (let n = 0; n < 50; n++) await node.entity("account", `${n}`).send({ type: "balance" });
      return node.figures().hotKeys.length > 0;
    });
    const text = await (await ask("/metrics")).text();
    const [line] = text.split("\n").filter((each) => each.startsWith("catga_hot_key_share{"));
    expect(line).toMatch(
      /^catga_hot_key_share\{name="account",id="a\\"b\\\\c,d=\\"\{\}"\} 0\.\d+$/,
    );
    expect(text).not.toContain('id="7"');
  });

  test("is not there without management, and asks who may inspect", async () => {
    const node = await stopped(Cluster.start({ transport: "memory", entities: [Account] }));
    expect(await refusalOf(await (await served(node, { management: "off" }))("/metrics"))).toEqual([
      404,
      "NOT_FOUND",
    ]);
    const ask = await served(node, {
      auth: ({ headers }) => ({ subject: headers.get("Authorization") ?? "nobody" }),
      authorize: ({ subject }, { action }) => subject === "admin" && action === "inspect",
    });
    expect(await refusalOf(await ask("/metrics"))).toEqual([403, "FORBIDDEN"]);
    const allowed = await ask("/metrics", { headers: { Authorization: "admin" } });
    expect(allowed.status).toBe(200);
    const posted = await ask("/metrics", { method: "POST" });
    expect([...(await refusalOf(posted)), posted.headers.get("Allow")]).toEqual([
      405,
      "MALFORMED",
      "GET, HEAD",
    ]);
  });
});

describe("/healthz/ready", () => {
  const health = {
    ready: true,
    joined: true,
    leaseLeftMs: 700,
    oldestMessageMs: 0,
    oldestHandoffMs: 0,
    eventLoopLagMs: 1,
    stuck: [],
    reasons: [],
  };
  const unready = {
    ...health,
    ready: false,
    stuck: [{ what: 'account/42: handler "deposit" has run for 31 s', sinceMs: 31_000 }],
    reasons: ["messages"],
  };
  test("is 200 with what there is to say", async () => {
    const ask = await served(nodeWith(health));
    const response = await ask("/healthz/ready");
    expect([response.status, await response.json()]).toEqual([200, { status: "ready", ...health }]);
  });

  test("is 503 and says when to come again, and which entity is in the way", async () => {
    const ask = await served(nodeWith(unready));
    const response = await ask("/healthz/ready");
    expect([response.status, response.headers.get("Retry-After")]).toEqual([503, "1"]);
    expect(await response.json()).toEqual({ status: "unready", ...unready });
  });

  test("tells strangers no names, and whoever may inspect all of it", async () => {
    const ask = await served(nodeWith(unready), { auth });
    const stranger = await ask("/healthz/ready");
    expect([stranger.status, stranger.headers.get("Retry-After")]).toEqual([503, "1"]);
    expect(await stranger.json()).toEqual({
      status: "unready",
      ready: false,
      reasons: ["messages"],
    });
    const known = await ask("/healthz/ready", { headers: { Authorization: "token" } });
    expect(await known.json()).toMatchObject({ stuck: unready.stuck });
    const wrong = await ask("/healthz/ready", { headers: { Authorization: "guess" } });
    expect(await refusalOf(wrong)).toEqual([401, "UNAUTHENTICATED"]);
    const forbidding = await served(nodeWith(unready), { auth, authorize: () => false });
    const forbidden = await forbidding("/healthz/ready", { headers: { Authorization: "token" } });
    expect(await refusalOf(forbidden)).toEqual([403, "FORBIDDEN"]);
  });

  test("tells everybody no more than that without management", async () => {
    const ask = await served(nodeWith(unready), { auth, management: "off" });
    const known = await ask("/healthz/ready", { headers: { Authorization: "token" } });
    expect(await known.json()).toEqual({ status: "unready", ready: false, reasons: ["messages"] });
  });

  test("says that a node has stopped", async () => {
    const node = await Cluster.start({ transport: "memory", entities: [Account] });
    const ask = await served(node);
    expect((await ask("/healthz/ready")).status).toBe(200);
    await node.stop();
    const response = await ask("/healthz/ready");
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ status: "draining", ready: false });
  });

  test("is only read", async () => {
    const ask = await served(nodeWith(health));
    const response = await ask("/healthz/ready", { method: "POST" });
    expect(await refusalOf(response)).toEqual([405, "MALFORMED"]);
    const head = await ask("/healthz/ready", { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
  });
});
