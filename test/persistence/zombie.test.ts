/**
 * A node that is stopped in the middle of a turn, and goes on when another one has taken over: what
 * it writes then comes too late, and each kind of store refuses it, for the heir has said so to the
 * store before it answered anything (F2).
 */
import { afterEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Cluster } from "../../src/index.ts";
import { memory } from "../../src/drivers/memory/index.ts";
import type { Store, StoreDriver } from "../../src/ports/store.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { brokersAreWanted } from "../drivers/broker-process.ts";
import { SECRET } from "../drivers/fixtures.ts";
import { temporaryFolder } from "../drivers/folders.ts";
import { NatsServer } from "../drivers/nats-server.ts";
import { failureOf, meeting, stopAll, stopped } from "../drivers/nodes.ts";
import { RedisServer } from "../drivers/redis-server.ts";
import { openStore } from "../drivers/store-fixture.ts";
import { spied } from "./kept.ts";
import { KeptChild } from "./kept-child.ts";
import { listOf } from "./kept-list.ts";
import { driverOf, type Place } from "./kept-process.ts";

const PATIENCE = { timeoutMs: 20_000 };
const NO_MORE = 60_000;
const List = listOf();
const IDS = Array.from({ length: 64 }, (_, n) => `l${n}`);

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await stopAll();
  for (const end of ends.splice(0).toReversed()) await end();
});

const PLACES: readonly { name: string; place: () => Promise<Place> }[] = [
  {
    name: "sqlite",
    place: async () => ({ kind: "sqlite", at: join(temporaryFolder("zombie"), "store.db") }),
  },
  {
    name: "nats",
    async place() {
      const server = await NatsServer.start();
      ends.push(() => server.stop());
      return { kind: "nats", at: server.url };
    },
  },
  {
    name: "redis",
    async place() {
      const server = await RedisServer.start();
      ends.push(() => server.stop());
      return { kind: "redis", at: server.url };
    },
  },
];

test("a late write to memory of a node that has gone is refused", async () => {
  const { spy, driver } = spied();
  const hung = Promise.withResolvers<void>();
  const results: unknown[] = [];
  const store: StoreDriver = {
    name: "late",
    async open(context) {
      const inner = await driver.open(context);
      const write: Store["write"] = async (writes) => {
        const done = await inner.write(writes);
        results.push(...done);
        return done;
      };
      // What is on its way comes, whoever has closed.
      return { ...inner, write, close: async () => {} };
    },
  };
  const settings = { transport: memory(), name: "zombie", shardCount: 32 } as const;
  const common = { ...settings, heartbeat: "fast", entities: [List] } as const;
  const zombie = await Cluster.start({ ...common, nodeId: "zombie", store });
  await zombie.entity(List, "a").send({ type: "append", line: "first" });
  spy.beforeWrite = () => hung.promise;
  const outcome = failureOf(zombie.entity(List, "a").send({ type: "append", line: "late" }));
  await waitUntil("the write is on its way", () => spy.writes === 2);
  await zombie.stop({ deadline: "100ms" });
  expect(await outcome).toMatchObject({ code: "OUTCOME_UNKNOWN" });
  spy.beforeWrite = async () => {};
  const heir = await stopped(Cluster.start({ ...common, nodeId: "heir", store: driver }));
  expect(await heir.entity(List, "a").send({ type: "read" })).toEqual(["first"]);
  const before = results.length;
  hung.resolve();
  await waitUntil("the late write has come", () => results.length > before);
  expect(results.slice(before)).toMatchObject([{ ok: false }]);
  expect(await heir.entity(List, "a").send({ type: "append", line: "next" })).toBe(2);
});

describe.each(brokersAreWanted() ? [...PLACES] : PLACES.slice(0, 1))(
  "a late write to $name",
  ({ place }) => {
    test.each([
      ["first", ["first"]],
      ["nothing", []],
    ])(
      "of a node that was stopped in a turn is refused, where %s was stored before",
      async (_, before) => {
        const store = await place();
        const { options } = await meeting();
        const settings = { ...options, shardCount: 32, heartbeat: "fast" } as const;
        const driver = driverOf(store);
        const heir = await stopped(
          Cluster.start({ ...settings, nodeId: "heir", store: driver, entities: [List] }),
        );
        const { name } = options;
        const common = { name, secret: SECRET, transport: options.transport! };
        await using zombie = new KeptChild("node", { ...common, nodeId: "zombie", store });
        await zombie.says("ready");
        const owned = () => IDS.find((id) => heir.owner("list", id)?.node === "zombie");
        await waitUntil("the other node owns some", () => owned() !== undefined, PATIENCE);
        const id = owned()!;
        const ref = heir.entity(List, id);
        for (const line of before) await ref.send({ type: "append", line });
        const until = join(temporaryFolder("gate"), "gate");
        const late = ref.send({ type: "hold", line: "late", until }, { timeout: "30s" });
        const outcome = failureOf(late);
        await zombie.says("holding");
        await zombie.freeze();
        // It does nothing but read, so nothing else than its stamp can be in the way.
        expect(await ref.send({ type: "read" }, { retries: 60, timeout: "30s" })).toEqual(before);
        expect(heir.owner("list", id)?.node).toBe("heir");
        expect(await outcome).toMatchObject({ code: "OUTCOME_UNKNOWN" });
        const writes = () => zombie.said.filter((each) => each.what === "written");
        const written = writes().length;
        writeFileSync(until, "");
        zombie.thaw();
        await waitUntil("the late write has come", () => writes().length > written, PATIENCE);
        expect(writes().slice(written)).toEqual([{ what: "written", id, ok: false }]);
        expect(await ref.send({ type: "append", line: "next" })).toBe(before.length + 1);
        const opened = await openStore(driver, name);
        const found = await opened.load({ entity: "list", id, shard: 0 });
        expect(found?.data).not.toContain("late");
        await opened.close();
      },
      NO_MORE,
    );
  },
);
