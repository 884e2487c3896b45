/** `cluster.stored` shows what the store has, and wakes nobody. */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { storedIn } from "../../src/backup/index.ts";
import { memoryStore } from "../../src/drivers/memory/store.ts";
import { Cluster, command, defineContract, defineEntity, isCatgaError } from "../../src/index.ts";
import { failureOf, stopAll, stopped } from "../drivers/nodes.ts";
import { openStore } from "../drivers/store-fixture.ts";
import { SHAPES, Shape, startOver, textOf } from "./shapes.ts";

// Processes and disks of a machine that has other things to do.
setDefaultTimeout(60_000);

afterEach(stopAll);

const Light = defineEntity("light", {
  messages: { touch: command() },
  state: () => ({}),
  handlers: { touch() {} },
});

async function codeOf(work: Promise<unknown>): Promise<unknown> {
  const error = await failureOf(work);
  return isCatgaError(error) ? [error.code, error.message] : error;
}

test("stored() shows state of every shape, versions, reminders, answers and size", async () => {
  const store = memoryStore();
  const node = await stopped(startOver(store));
  for (const shape of Object.keys(SHAPES)) {
    const ref = node.entity("shape", shape);
    await ref.send({ type: "become", shape }, { idempotencyKey: "once" });
    await ref.send({ type: "wake", every: "1h" });
    const stored = (await node.stored("shape", shape))!;
    expect(textOf((stored.state as { odd: unknown }).odd)).toBe(textOf(SHAPES[shape]!()));
    const { recordVersion, version, answers, bytes, fence, reminders } = stored;
    expect([version, answers]).toEqual([3, 1]);
    expect(recordVersion).toBeGreaterThan(1);
    expect(bytes).toBeGreaterThan(100);
    expect(fence).toMatch(/^\d{16}\.\d{16}$/);
    const message = { type: "ring" };
    expect(reminders).toMatchObject([{ name: "bell", everyMs: 3_600_000, message }]);
    expect(reminders[0]!.due.getTime()).toBeGreaterThan(Date.now());
  }
  const place = { store, name: "shop" };
  const key = { entity: "shape", id: "map" };
  expect(await storedIn(place, key)).toEqual(await node.stored(Shape, "map"));
  expect(await storedIn(place, { ...key, id: "nobody" })).toBeUndefined();
});

test("stored() finds nothing of who was never there, or is deleted, and wakes nobody", async () => {
  const node = await stopped(startOver(memoryStore()));
  const woken: string[] = [];
  await node.entity("shape", "a").send({ type: "add", n: 1 });
  node.on("entity-activated", ({ id }) => void woken.push(id));
  await node.entity("shape", "a").send({ type: "end" });
  expect(await node.stored("shape", "a")).toBeUndefined();
  expect(await node.stored("shape", "b")).toBeUndefined();
  expect(woken).toEqual([]);
  expect(await codeOf(node.stored("shape", ""))).toContain("INVALID_ID");
});

test("stored() says of a record that cannot be read that it cannot", async () => {
  const driver = memoryStore();
  const store = await openStore(driver, "shop", { shardCount: 16 });
  const place = { entity: "shape", id: "a", shard: 0, expected: 0, fence: "", dueMs: undefined };
  await store.write([{ ...place, data: "1 00000000 {}" }]);
  const node = await stopped(startOver(driver));
  expect(await codeOf(node.stored("shape", "a"))).toEqual([
    "STATE_CORRUPT",
    'Cannot read the stored state of "shape/a": its checksum does not match',
  ]);
});

test("stored() says where there is no store to look into: NOT_STORED", async () => {
  const options = { transport: "memory", name: "nothing", heartbeat: "normal" } as const;
  const plain = await stopped(Cluster.start({ ...options, entities: [Light] }));
  const none = 'Cannot look up what is stored of "light/a": its persistence is none';
  expect(await codeOf(plain.stored("light", "a"))).toEqual(["NOT_STORED", none]);
  const Other = defineContract("other", { touch: command() });
  const without = 'Cannot look up what is stored of "other/a": this node keeps no entities';
  expect(await codeOf(plain.stored(Other, "a"))).toEqual(["NOT_STORED", without]);
  const mixed = await stopped(
    Cluster.start({ ...options, name: "mixed", entities: [Light, Shape] }),
  );
  expect(await codeOf(mixed.stored("light", "a"))).toEqual(["NOT_STORED", none]);
  expect(await mixed.stored(Other, "a")).toBeUndefined();
  await mixed.stop();
  expect(await codeOf(mixed.stored("shape", "a"))).toContain("CLUSTER_STOPPED");
});
