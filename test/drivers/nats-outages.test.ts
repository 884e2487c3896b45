/** What happens to nodes when their NATS server dies, hangs or forgets. */
import { afterEach, describe, expect, test } from "bun:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { waitUntil } from "../contracts/wait-until.ts";
import {
  allOwnSome,
  clusterAt,
  countAll,
  type CounterNode,
  IDS,
  join,
  lives,
  loadOf,
  noCopyCameBack,
  serve,
  stopAll,
} from "./nats-nodes.ts";
import { brokersAreWanted } from "./nats-server.ts";
import { uniqueName } from "./port.ts";
import { Proxy } from "./proxy.ts";

afterEach(stopAll);

function seenBy(node: CounterNode): string {
  return node.nodes.map((each) => each.node).join();
}

describe.if(brokersAreWanted())("a server that is killed and comes back with its data", () => {
  test.each(["SIGKILL", "SIGTERM"] as const)(
    "by %s: memory is intact",
    async (signal) => {
      const server = await serve();
      const [first, second] = (await clusterAt(server, 2)) as [CounterNode, CounterNode];
      const before = await countAll(first);
      await server.kill(signal);
      await server.resume();
      const after = await countAll(second);
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
    const before = await countAll(cluster[0]!);
    await server.kill();
    const downMs = performance.now();
    await waitUntil("several leases have passed", () => performance.now() - downMs > 2_500);
    await server.resume();
    const after = await countAll(cluster[1]!);
    expect(after.map(({ copy }) => copy)).toEqual(before.map(({ copy }) => copy));
    expect(left).toEqual([]);
  }, 30_000);

  test("after it hung: memory is intact", async () => {
    const server = await serve();
    const cluster = await clusterAt(server, 2);
    const before = await countAll(cluster[0]!);
    await server.kill("SIGSTOP");
    const downMs = performance.now();
    await waitUntil("a lease has passed", () => performance.now() - downMs > 1_500);
    await server.kill("SIGCONT");
    const after = await countAll(cluster[1]!);
    expect(after.map(({ copy }) => copy)).toEqual(before.map(({ copy }) => copy));
  }, 30_000);
});

describe.if(brokersAreWanted())("a server that comes back without its data", () => {
  test("nodes join anew, entities begin anew, and never have two copies", async () => {
    lives.clear();
    const server = await serve();
    const cluster = await clusterAt(server, 3);
    await countAll(cluster[0]!);
    const before = await countAll(cluster[0]!);
    const load = loadOf(cluster);
    await server.kill();
    server.wipe();
    await server.resume();
    await waitUntil(
      "all nodes see each other in the new bucket",
      async () => {
        const seen = cluster.map(seenBy);
        const after = await countAll(cluster[0]!).catch(() => []);
        const isNew = IDS.every((_, i) => (after[i]?.copy ?? 0) > before[i]!.copy);
        return isNew && seen.every((each) => each === "n1,n2,n3");
      },
      { timeoutMs: 20_000 },
    );
    await load.end();
    noCopyCameBack();
  }, 40_000);

  test("a bucket that is deleted while all are connected is noticed", async () => {
    const server = await serve();
    const [first] = (await clusterAt(server, 2)) as [CounterNode, CounterNode];
    const before = await countAll(first);
    const client = await connect({ servers: server.url.slice(7) });
    const manager = await jetstreamManager(client);
    const [bucket] = await manager.streams.list().next();
    await manager.streams.delete(bucket!.config.name);
    await client.close();
    let last = "";
    await waitUntil(
      "entities begin anew",
      async () => {
        const after = await countAll(first).catch((error: unknown) => {
          last = String(error);
          return [];
        });
        return after.some(({ copy }, i) => copy !== before[i]!.copy);
      },
      { timeoutMs: 20_000, describe: () => last },
    );
    expect(await countAll(first)).toHaveLength(IDS.length);
  }, 40_000);

  test("a newcomer waits until nobody may act under the bucket before", async () => {
    const server = await serve();
    const proxy = await Proxy.to(server.port);
    const name = uniqueName("newcomer");
    const old = await join(`nats://127.0.0.1:${proxy.port}`, name, "old");
    await countAll(old);
    lives.clear();
    const load = loadOf([old]);
    // It learns nothing, and may act until its lease is over.
    proxy.block();
    await server.kill();
    server.wipe();
    await server.resume();
    const fresh = await join(server.url, name, "fresh");
    await countAll(fresh);
    proxy.unblock();
    await waitUntil("the old one has joined anew", () => seenBy(old) === "fresh,old", {
      timeoutMs: 15_000,
    });
    await load.end();
    proxy.close();
    noCopyCameBack();
  }, 40_000);
});

describe.if(brokersAreWanted())("one node's way to the server", () => {
  test("is cut again and again: every message is answered once", async () => {
    const server = await serve();
    const proxy = await Proxy.to(server.port);
    const name = uniqueName("cut");
    const first = await join(server.url, name, "n1");
    const second = await join(`nats://127.0.0.1:${proxy.port}`, name, "n2");
    await allOwnSome([first, second]);
    await countAll(first);
    for (let cut = 1; cut <= 5; cut++) {
      const counting = [countAll(first), countAll(second)];
      proxy.unblock();
      for (const counts of await Promise.all(counting)) {
        for (const { count } of counts) expect([cut * 2, cut * 2 + 1]).toContain(count);
      }
    }
    proxy.close();
  }, 30_000);

  test("is blocked for longer than its lease: others take over, and it joins anew", async () => {
    const server = await serve();
    const proxy = await Proxy.to(server.port);
    const name = uniqueName("cut");
    const first = await join(server.url, name, "n1");
    const second = await join(`nats://127.0.0.1:${proxy.port}`, name, "n2");
    await allOwnSome([first, second]);
    await countAll(second);
    lives.clear();
    const load = loadOf([first, second]);
    proxy.block();
    await waitUntil("it is taken for dead", () => seenBy(first) === "n1");
    await countAll(first);
    proxy.unblock();
    const limit = { timeoutMs: 15_000 };
    for (const node of [first, second]) {
      await waitUntil("it has joined anew", () => seenBy(node) === "n1,n2", limit);
    }
    await allOwnSome([first, second]);
    await load.end();
    proxy.close();
    noCopyCameBack();
  }, 40_000);
});
