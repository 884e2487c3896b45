/**
 * A NATS server that has lost what it had confirmed: after a loss of power, or with a backup. Its
 * bucket is the one it was, so only who remembers more can tell.
 */
import { afterEach, describe, test } from "bun:test";
import { connect } from "@nats-io/transport-node";
import { nats } from "../../src/drivers/nats/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import {
  allOwn,
  askAll,
  forgetTurns,
  IDS,
  join,
  loadOf,
  neverTwoCopies,
  placeAt,
  type WitnessNode,
} from "./broker-nodes.ts";
import { brokersAreWanted } from "./broker-process.ts";
import { openBucket } from "./fixtures.ts";
import { serve, stopAll } from "./nats-nodes.ts";
import type { NatsServer } from "./nats-server.ts";
import { Proxy } from "./proxy.ts";

afterEach(stopAll);

const LIMIT = { timeoutMs: 20_000 };

/** A server whose backup holds an opened bucket and no node, and a way there that can be cut. */
async function served(): Promise<{
  readonly server: NatsServer;
  readonly proxy: Proxy;
  readonly place: ReturnType<typeof placeAt>;
  readonly cut: ReturnType<typeof placeAt>;
}> {
  const server = await serve();
  const proxy = await Proxy.to(server.port);
  const place = placeAt(server.url);
  await openBucket(nats(server.url), place.name);
  await backUp(server);
  return { server, proxy, place, cut: { ...place, transport: `nats://127.0.0.1:${proxy.port}` } };
}

async function backUp(server: NatsServer): Promise<void> {
  await server.kill();
  server.backUp();
  await server.resume();
}

async function goBack(server: NatsServer): Promise<void> {
  await server.kill();
  server.goBack();
  await server.resume();
}

/** What entities answer once all of them have begun anew since they answered `before`. */
async function beganAnew(
  node: WitnessNode,
  before: readonly { readonly copy: number }[],
): Promise<void> {
  let last = "";
  const isNew = async (): Promise<boolean> => {
    const after = await askAll(node).catch((error: unknown) => {
      last = String(error);
      return [];
    });
    return IDS.every((_, i) => (after[i]?.copy ?? 0) > before[i]!.copy);
  };
  await waitUntil("all entities begin anew", isNew, { ...LIMIT, describe: () => last });
}

function seenBy(node: WitnessNode): string {
  return node.nodes.map((each) => each.node).join();
}

describe.if(brokersAreWanted())("a server that goes back in time", () => {
  test("makes its nodes begin anew, under fences that never fall", async () => {
    const { server, place } = await served();
    const nodes = [await join(place, "n1"), await join(place, "n2")];
    await allOwn(nodes);
    await backUp(server);
    // Shards move twice: epochs that the backup does not know.
    const third = await join(place, "n3");
    await allOwn([...nodes, third]);
    await third.stop();
    await allOwn(nodes);
    forgetTurns();
    const before = await askAll(nodes[0]!);
    const load = loadOf(nodes);
    await goBack(server);
    await beganAnew(nodes[0]!, before);
    for (const node of nodes)
      await waitUntil("both are back", () => seenBy(node) === "n1,n2", LIMIT);
    await load.end();
    neverTwoCopies();
  }, 60_000);

  test("twice in a row is noticed twice, and so is a backup of another generation", async () => {
    const { server, place } = await served();
    const node = await join(place, "n1");
    for (let round = 0; round < 3; round++) {
      const before = await askAll(node);
      await goBack(server);
      await beganAnew(node, before);
    }
    neverTwoCopies();
  }, 60_000);

  test("is noticed when others have written more meanwhile than it has lost", async () => {
    const { server, place, cut, proxy } = await served();
    const node = await join(cut, "n1");
    const before = await askAll(node);
    proxy.block();
    await goBack(server);
    const client = await connect({ servers: server.url.slice(7) });
    const subject = `$KV.catga_${place.name}.junk`;
    for (let n = 0; n < 500; n++) await client.request(subject, "{}");
    await client.close();
    proxy.unblock();
    await beganAnew(node, before);
    proxy.close();
    neverTwoCopies();
  }, 60_000);

  test("lets nobody in before the lease of whom it has forgotten is over", async () => {
    const { server, place, cut, proxy } = await served();
    const old = await join(cut, "old");
    await askAll(old);
    forgetTurns();
    const load = loadOf([old]);
    // It learns nothing, and may act until its lease is over.
    proxy.block();
    await goBack(server);
    const fresh = await join(place, "fresh");
    await askAll(fresh);
    proxy.unblock();
    await waitUntil("the old one has joined anew", () => seenBy(old) === "fresh,old", LIMIT);
    await load.end();
    proxy.close();
    neverTwoCopies();
  }, 60_000);
});
