/** Entities move from store to store, over real servers, and are what they were. */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { exportEntities, importEntities } from "../../src/backup/index.ts";
import { nats } from "../../src/drivers/nats/index.ts";
import { redis } from "../../src/drivers/redis/index.ts";
import { sqlite } from "../../src/drivers/sqlite/index.ts";
import { type ClusterOf, isCatgaError } from "../../src/index.ts";
import type { StoreDriver } from "../../src/ports/store.ts";
import { written } from "../contracts/kept.ts";
import { HARD_IDS } from "../contracts/spellings.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { brokersAreWanted } from "../drivers/broker-process.ts";
import { NatsServer } from "../drivers/nats-server.ts";
import { failureOf } from "../drivers/nodes.ts";
import { RedisServer } from "../drivers/redis-server.ts";
import { TestFolder } from "../drivers/sqlite-fixture.ts";
import { openStore } from "../drivers/store-fixture.ts";
import { type Shape, SHAPES, startOver, textOf } from "./shapes.ts";

// Processes and disks of a machine that has other things to do.
setDefaultTimeout(60_000);

type Node = ClusterOf<typeof Shape>;

const IDS = [...new Set([...Object.keys(SHAPES), ...HARD_IDS, "bell", "sleeper", "once"])];

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

async function fill(node: Node): Promise<void> {
  for (const id of HARD_IDS) await node.entity("shape", id).send({ type: "add", n: 1 });
  for (const shape of Object.keys(SHAPES)) {
    await node.entity("shape", shape).send({ type: "become", shape });
  }
  await node.entity("shape", "bell").send({ type: "wake", every: "1s" });
  await node.entity("shape", "sleeper").send({ type: "sleep", days: 30 });
  const once = { idempotencyKey: "order-17" };
  expect(await node.entity("shape", "once").send({ type: "add", n: 7 }, once)).toBe(7);
  await node.entity("shape", "gone").send({ type: "add", n: 1 });
  await node.entity("shape", "gone").send({ type: "end" });
}

/** What does not change by itself. */
async function lookAt(node: Node): Promise<unknown> {
  const ids = [...Object.keys(SHAPES), ...HARD_IDS, "once", "gone"];
  const looks = ids.map((id) => node.entity("shape", id).send({ type: "look" }));
  const sleeper = await node.stored("shape", "sleeper");
  expect(sleeper?.version).toBe(3);
  return { looks: await Promise.all(looks), reminders: sleeper!.reminders };
}

async function rung(node: Node): Promise<number> {
  return (await node.entity("shape", "bell").send({ type: "look" })).rung;
}

async function move(from: StoreDriver, to: StoreDriver, shardCount: number): Promise<void> {
  const lines = exportEntities({ store: from, name: "shop" });
  const result = await importEntities({ store: to, name: "shop", shardCount, lines });
  expect(result).toMatchObject({ imported: IDS.length, unchanged: 0, refused: 0, corrupt: 0 });
}

test.if(brokersAreWanted())(
  "from SQLite to NATS, to Redis and back: state, reminders and kept answers are what they were",
  async () => {
    const folder = new TestFolder();
    ends.push(() => folder[Symbol.dispose]());
    const [natsServer, redisServer] = await Promise.all([NatsServer.start(), RedisServer.start()]);
    ends.push(() => Promise.all([natsServer.stop(), redisServer.stop()]));
    const stores = [
      sqlite({ file: folder.file }),
      nats(natsServer.url),
      redis(redisServer.url),
      sqlite({ file: `${folder.file}.back` }),
    ];
    let node = await startOver(stores[0]!, 16);
    await fill(node);
    const before = await lookAt(node);
    for (const [i, shape] of Object.keys(SHAPES).entries()) {
      expect((before as { looks: { odd: string }[] }).looks[i]!.odd).toBe(textOf(SHAPES[shape]!()));
    }
    for (const [i, shardCount] of [64, 7, 1_024].entries()) {
      const rings = await rung(node);
      await node.stop();
      await move(stores[i]!, stores[i + 1]!, shardCount);
      node = await startOver(stores[i + 1]!, shardCount);
      expect(await lookAt(node)).toEqual(before as object);
      const retried = node.entity("shape", "once");
      expect(await retried.send({ type: "add", n: 7 }, { idempotencyKey: "order-17" })).toBe(7);
      expect(await retried.send({ type: "look" })).toMatchObject({ count: 7 });
      await waitUntil("the bell rings here", async () => (await rung(node)) > rings);
    }
    await node.stop();
  },
);

test("an entity that was imported is its owner's, however high its fence was before", async () => {
  using folder = new TestFolder();
  const [from, to] = [sqlite({ file: folder.file }), sqlite({ file: `${folder.file}.to` })];
  const node = await startOver(from);
  await node.entity("shape", "a").send({ type: "add", n: 2 });
  await node.stop();
  const store = await openStore(from, "shop", { shardCount: 16 });
  const key = { entity: "shape", id: "a", shard: 0 };
  const { version: expected, data } = (await store.load(key))!;
  const fence = "9999999999999999.9999999999999999";
  await written(store, { ...key, expected, fence, data, dueMs: undefined });
  await store.close();
  const lines = await Array.fromAsync(exportEntities({ store: from, name: "shop" }));
  await importEntities({ store: to, name: "shop", lines });
  const heir = await startOver(to);
  const low = (await heir.stored("shape", "a"))!.fence;
  expect(low < "0000000000000001").toBe(true);
  expect(await heir.entity("shape", "a").send({ type: "add", n: 3 })).toBe(5);
  const owned = (await heir.stored("shape", "a"))!.fence;
  expect(owned > low).toBe(true);
  // The same file, once more: what has changed since is not overwritten.
  const again = await importEntities({ store: to, name: "shop", lines });
  expect(again).toMatchObject({ imported: 0, refused: 1, conflicts: ["shape/a"] });
  expect(await heir.entity("shape", "a").send({ type: "add", n: 1 })).toBe(6);
  await heir.stop();
});

test("an import beside a cluster and the entity's owner do not both win", async () => {
  using folder = new TestFolder();
  const [from, to] = [sqlite({ file: folder.file }), sqlite({ file: `${folder.file}.to` })];
  const source = await startOver(from);
  await source.entity("shape", "a").send({ type: "add", n: 40 });
  await source.stop();
  const node = await startOver(to);
  const ref = node.entity("shape", "a");
  await ref.send({ type: "add", n: 1 });
  const lines = await Array.fromAsync(exportEntities({ store: from, name: "shop" }));
  const place = { store: to, name: "shop", lines };
  expect(await importEntities(place)).toMatchObject({ refused: 1 });
  expect(await ref.send({ type: "add", n: 1 })).toBe(2);
  expect(await importEntities({ ...place, onConflict: "overwrite" })).toMatchObject({
    overwritten: 1,
  });
  const failure = await failureOf(ref.send({ type: "add", n: 1 }));
  expect(isCatgaError(failure, "OUTCOME_UNKNOWN")).toBe(true);
  expect(await ref.send({ type: "add", n: 1 })).toBe(41);
  await node.stop();
});
