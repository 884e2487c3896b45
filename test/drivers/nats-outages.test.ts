/** What happens to nodes when their NATS server dies, hangs or forgets. */
import { afterEach, describe, expect, test } from "bun:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { waitUntil } from "../contracts/wait-until.ts";
import {
  allOwn,
  askAll,
  forgetTurns,
  IDS,
  join,
  loadOf,
  neverTwoCopies,
  type Place,
  placeAt,
  type WitnessNode,
} from "./broker-nodes.ts";
import { brokersAreWanted } from "./broker-process.ts";
import { clusterAt, serve, stopAll } from "./nats-nodes.ts";
import { Proxy } from "./proxy.ts";

afterEach(stopAll);

/** The same place, by way of a proxy. */
function through({ port }: Proxy, place: Place): Place {
  return { ...place, transport: `nats://127.0.0.1:${port}` };
}

/** Two nodes, one of which reaches the server through a proxy. */
async function pair(): Promise<{ first: WitnessNode; second: WitnessNode; proxy: Proxy }> {
  const server = await serve();
  const proxy = await Proxy.to(server.port);
  const place = placeAt(server.url);
  const first = await join(place, "n1");
  const second = await join(through(proxy, place), "n2");
  await allOwn([first, second]);
  return { first, second, proxy };
}

function seenBy(node: WitnessNode): string {
  return node.nodes.map((each) => each.node).join();
}

describe.if(brokersAreWanted())("a server that is killed and comes back with its data", () => {
  test.each(["SIGKILL", "SIGTERM"] as const)(
    "by %s: memory is intact",
    async (signal) => {
      const server = await serve();
      const [first, second] = (await clusterAt(server, 2)) as [WitnessNode, WitnessNode];
      const before = await askAll(first);
      await server.kill(signal);
      await server.resume();
      const after = await askAll(second);
      expect(after.map(({ copy }) => copy)).toEqual(before.map(({ copy }) => copy));
      expect(after.map(({ count }) => count)).toEqual(before.map(() => 2));
    },
    30_000,
  );

  test("after several leases: memory is intact, and nobody was declared dead", async () => {
    const server = await serve();
    const cluster = await clusterAt(server, 3);
    const left: string[] = [];
    for (const node of cluster) node.on("node-left", (event) => left.push(event.node));
    const before = await askAll(cluster[0]!);
    await server.kill();
    const downMs = performance.now();
    await waitUntil("several leases have passed", () => performance.now() - downMs > 2_500);
    await server.resume();
    const after = await askAll(cluster[1]!);
    expect(after.map(({ copy }) => copy)).toEqual(before.map(({ copy }) => copy));
    expect(left).toEqual([]);
  }, 30_000);

  test("after it hung: memory is intact", async () => {
    const server = await serve();
    const cluster = await clusterAt(server, 2);
    const before = await askAll(cluster[0]!);
    await server.kill("SIGSTOP");
    const downMs = performance.now();
    await waitUntil("a lease has passed", () => performance.now() - downMs > 1_500);
    await server.kill("SIGCONT");
    const after = await askAll(cluster[1]!);
    expect(after.map(({ copy }) => copy)).toEqual(before.map(({ copy }) => copy));
  }, 30_000);
});

describe.if(brokersAreWanted())("a server that comes back without its data", () => {
  test("nodes join anew, entities begin anew, and never have two copies", async () => {
    forgetTurns();
    const server = await serve();
    const cluster = await clusterAt(server, 3);
    await askAll(cluster[0]!);
    const before = await askAll(cluster[0]!);
    const load = loadOf(cluster);
    await server.kill();
    server.wipe();
    await server.resume();
    await waitUntil(
      "all nodes see each other in the new bucket",
      async () => {
        const seen = cluster.map(seenBy);
        const after = await askAll(cluster[0]!).catch(() => []);
        const isNew = IDS.every((_, i) => (after[i]?.copy ?? 0) > before[i]!.copy);
        return isNew && seen.every((each) => each === "n1,n2,n3");
      },
      { timeoutMs: 20_000 },
    );
    await load.end();
    neverTwoCopies();
  }, 40_000);

  test("a bucket that is deleted while all are connected is noticed", async () => {
    const server = await serve();
    const [first] = (await clusterAt(server, 2)) as [WitnessNode, WitnessNode];
    const before = await askAll(first);
    const client = await connect({ servers: server.url.slice(7) });
    const manager = await jetstreamManager(client);
    const [bucket] = await manager.streams.list().next();
    await manager.streams.delete(bucket!.config.name);
    await client.close();
    let last = "";
    await waitUntil(
      "entities begin anew",
      async () => {
        const after = await askAll(first).catch((error: unknown) => {
          last = String(error);
          return [];
        });
        return after.some(({ copy }, i) => copy !== before[i]!.copy);
      },
      { timeoutMs: 20_000, describe: () => last },
    );
    expect(await askAll(first)).toHaveLength(IDS.length);
  }, 40_000);

  test("a newcomer waits until nobody may act under the bucket before", async () => {
    const server = await serve();
    const proxy = await Proxy.to(server.port);
    const place = placeAt(server.url);
    const old = await join(through(proxy, place), "old");
    await askAll(old);
    forgetTurns();
    const load = loadOf([old]);
    // It learns nothing, and may act until its lease is over.
    proxy.block();
    await server.kill();
    server.wipe();
    await server.resume();
    const fresh = await join(place, "fresh");
    await askAll(fresh);
    proxy.unblock();
    await waitUntil("the old one has joined anew", () => seenBy(old) === "fresh,old", {
      timeoutMs: 15_000,
    });
    await load.end();
    proxy.close();
    neverTwoCopies();
  }, 40_000);
});

describe.if(brokersAreWanted())("one node's way to the server", () => {
  test("is cut again and again: every message is answered once", async () => {
    const { first, second, proxy } = await pair();
    await askAll(first);
    for (let cut = 1; cut <= 5; cut++) {
      const counting = [askAll(first), askAll(second)];
      proxy.unblock();
      for (const counts of await Promise.all(counting)) {
        for (const { count } of counts) expect([cut * 2, cut * 2 + 1]).toContain(count);
      }
    }
    proxy.close();
  }, 30_000);

  test("is blocked for longer than its lease: others take over, and it joins anew", async () => {
    const { first, second, proxy } = await pair();
    await askAll(second);
    forgetTurns();
    const load = loadOf([first, second]);
    proxy.block();
    await waitUntil("it is taken for dead", () => seenBy(first) === "n1");
    await askAll(first);
    proxy.unblock();
    const limit = { timeoutMs: 15_000 };
    for (const node of [first, second]) {
      await waitUntil("it has joined anew", () => seenBy(node) === "n1,n2", limit);
    }
    await allOwn([first, second]);
    await load.end();
    proxy.close();
    neverTwoCopies();
  }, 40_000);

  test("is blocked while it is alone: its id is free when its lease is over", async () => {
    const server = await serve();
    const proxy = await Proxy.to(server.port);
    const place = placeAt(server.url);
    const first = await join(through(proxy, place), "n1");
    await askAll(first);
    forgetTurns();
    const load = loadOf([first]);
    proxy.block();
    const second = await join(place, "n1");
    await askAll(second);
    await load.end();
    proxy.close();
    neverTwoCopies();
  }, 30_000);
});
