/** What the clients and the brokers do behind one's back costs no message and doubles none. */
import { afterEach, describe, expect, test } from "bun:test";
import { Redis } from "ioredis";
import { Cluster, type ClusterOf, command, defineEntity } from "../../src/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { adopt, allOwn, askAll, join, keepingLog, type Place, placeAt } from "./broker-nodes.ts";
import { brokersAreWanted } from "./broker-process.ts";
import { openBucket, settledRedis } from "./fixtures.ts";
import { nats } from "../../src/drivers/nats/index.ts";
import { serve, stopAll } from "./nats-nodes.ts";
import { freePort } from "./port.ts";
import { Proxy } from "./proxy.ts";
import { serveRedis, stopRedis } from "./redis-servers.ts";

afterEach(async () => {
  await stopAll();
  await stopRedis();
});

const runs = new Map<string, number>();
/** Answers are much larger than the questions. */
const Large = defineEntity("large", {
  messages: { ask: command<{}, { text: string }>() },
  state: () => ({}),
  handlers: {
    ask: ({ id }) => {
      runs.set(id, (runs.get(id) ?? 0) + 1);
      return { text: "x".repeat(20_000) };
    },
  },
});

/**
 * A caller that reads nothing for a while, at a server that keeps little for it: `isCut` says when
 * the server has given up on it. Every call is answered once all the same.
 */
async function stallCaller(
  place: Place,
  { proxy, near, isCut }: { proxy: Proxy; near: Place; isCut: () => Promise<boolean> },
): Promise<void> {
  runs.clear();
  const options = { shardCount: 8, heartbeat: "relaxed" } as const;
  adopt(await Cluster.start({ ...place, ...options, nodeId: "host", entities: [Large] }));
  const caller: ClusterOf<never> = adopt(
    await Cluster.start({ ...near, ...options, nodeId: "caller" }),
  );
  const ids = Array.from({ length: 200 }, (_, n) => `large-${n}`);
  const ask = () => Promise.all(ids.map((id) => caller.entity(Large, id).send({ type: "ask" })));
  await ask();
  proxy.stall();
  const asking = ask();
  await waitUntil("the server has given up on it", isCut, { timeoutMs: 10_000 });
  proxy.resume();
  expect((await asking).every(({ text }) => text.length === 20_000)).toBe(true);
  expect([...runs.values()]).toEqual(ids.map(() => 2));
}

describe.if(brokersAreWanted())("over NATS", () => {
  test("who reads too slowly is cut off, and loses nothing", async () => {
    const port = await freePort();
    const limits = `max_payload: 65536\nmax_pending: 262144\nhttp: "127.0.0.1:${port}"\n`;
    const server = await serve(limits);
    const proxy = await Proxy.to(server.port);
    const place = placeAt(server.url);
    await openBucket(nats(server.url), place.name);
    const near: Place = { ...place, transport: `nats://127.0.0.1:${proxy.port}` };
    const isCut = async (): Promise<boolean> => {
      const response = await fetch(`http://127.0.0.1:${port}/varz`);
      return ((await response.json()) as { slow_consumers: number }).slow_consumers > 0;
    };
    await stallCaller(place, { proxy, near, isCut });
    proxy.close();
  }, 30_000);

  test("a login that fails for a while does not end the tries", async () => {
    const open = 'authorization { user: "a", password: "b" }';
    const server = await serve(open);
    const transport = nats({ servers: server.url, user: "a", pass: "b" });
    const place = placeAt(transport);
    await openBucket(transport, place.name);
    const nodes = [await join(place, "a"), await join(place, "b")];
    await allOwn(nodes);
    const before = await askAll(nodes[0]!);
    await server.kill();
    server.configure('authorization { user: "a", password: "another" }');
    await server.resume();
    // More than the two failures after which the client gives up by default.
    const startMs = performance.now();
    await waitUntil("some tries have failed", () => performance.now() - startMs > 1_000);
    await server.kill();
    server.configure(open);
    await server.resume();
    const after = await askAll(nodes[1]!);
    expect(after.map(({ copy }) => copy)).toEqual(before.map(({ copy }) => copy));
  }, 30_000);
});

describe.if(brokersAreWanted())("over Redis", () => {
  test("who reads too slowly is cut off, and loses nothing", async () => {
    const server = await serveRedis("--client-output-buffer-limit", "pubsub 262144 262144 1");
    const proxy = await Proxy.to(server.port);
    const place = placeAt(settledRedis(server));
    const near = { ...place, transport: settledRedis(server, { port: proxy.port }) };
    const listeners = async (): Promise<string> => {
      return String(await server.ask("CLIENT", "LIST", "TYPE", "pubsub"));
    };
    let before = "";
    const isCut = async (): Promise<boolean> => {
      const now = await listeners();
      before ||= now;
      return now.split("\n").length < before.split("\n").length;
    };
    await stallCaller(place, { proxy, near, isCut });
    proxy.close();
  }, 30_000);

  test("the habits of a client of one's own are not taken over", async () => {
    const server = await serveRedis();
    const habits = { commandTimeout: 100, socketTimeout: 150, maxRetriesPerRequest: 3 } as const;
    const shapes = { enableAutoPipelining: true, stringNumbers: true, readOnly: true } as const;
    const client = new Redis({ port: server.port, lazyConnect: true, ...habits, ...shapes });
    const place = placeAt(settledRedis(server, { client }));
    const log = keepingLog();
    const nodes = [await join(place, "a", { log }), await join(place, "b", { log })];
    await allOwn(nodes);
    const startMs = performance.now();
    await waitUntil("it was quiet for a while", () => performance.now() - startMs > 1_000);
    await askAll(nodes[0]!);
    expect(log.lines).toEqual([]);
    client.disconnect();
  }, 30_000);
});
