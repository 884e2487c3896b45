/** What stores at brokers do to forget: nothing piles up, and nothing newer is taken away. */
import { afterEach, describe, expect, test } from "bun:test";
import { jetstream, jetstreamManager, type StreamAPI } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { nats } from "../../src/drivers/nats/index.ts";
import { redis } from "../../src/drivers/redis/index.ts";
import type { Store, StoreDriver, StoreKey } from "../../src/ports/store.ts";
import { everything, loaded, put, someKey, versionOf, written } from "../contracts/kept.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { brokersAreWanted } from "./broker-process.ts";
import { NatsServer } from "./nats-server.ts";
import { RedisServer } from "./redis-server.ts";
import { openStore } from "./store-fixture.ts";
import { reasonOf } from "./store-outage.ts";

const DAY_MS = 86_400_000;
const WHERE = { entity: "cart", shard: 3 };
const MANY = 10_000;

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

/** A clock that can be put forward. */
function calendar(): { day: number; readonly clock: Clock } {
  const self = {
    day: 0,
    clock: {
      ...systemClock,
      nowMs: () => systemClock.nowMs() + self.day * DAY_MS,
      wallMs: () => systemClock.wallMs() + self.day * DAY_MS,
    },
  };
  return self;
}

async function open(driver: StoreDriver, clock: Clock): Promise<Store> {
  const store = await openStore(driver, "forget", { clock });
  ends.push(() => store.close());
  return store;
}

/** Creates and deletes so many entities. */
async function deleteMany(store: Store, count: number): Promise<StoreKey[]> {
  const keys = Array.from({ length: count }, () => someKey(WHERE));
  const created = (await store.write(keys.map((key) => put(key)))).map(versionOf);
  const writes = keys.map((key, n) => put(key, { expected: created[n]!, data: undefined }));
  for (const result of await store.write(writes)) versionOf(result);
  return keys;
}

interface Nats {
  readonly server: NatsServer;
  readonly admin: NatsConnection;
  readonly streams: StreamAPI;
  /** How many messages a bucket has. */
  readonly count: (bucket: "store" | "due" | "gone") => Promise<number>;
}

async function startNats(config?: string): Promise<Nats> {
  const server = await NatsServer.start(config);
  ends.push(() => server.stop());
  const admin = await connect({ servers: server.url.slice("nats://".length) });
  ends.push(() => admin.close());
  const { streams } = await jetstreamManager(admin);
  const count = async (bucket: string): Promise<number> =>
    (await streams.info(`KV_catga_forget_${bucket}`)).state.messages;
  return { server, admin, streams, count };
}

describe.if(brokersAreWanted())("a store at NATS", () => {
  test("forgets all whose time is over, and who was deleted and came back stays", async () => {
    const { server, count } = await startNats();
    const time = calendar();
    const store = await open(nats(server.url), time.clock);
    const keys = await deleteMany(store, 150);
    const [back] = keys;
    const left = (await loaded(store, back!))!.version;
    await written(store, put(back!, { expected: left }));
    // One for each, however often; one for each that came back, until it is seen.
    const [again] = keys.slice(1);
    const last = (await loaded(store, again!))!.version;
    await written(store, put(again!, { expected: last, data: undefined }));
    expect(await count("gone")).toBe(150);
    time.day = 8;
    await store.due(WHERE, 0, MANY);
    await waitUntil("all are forgotten", async () => (await count("gone")) === 0);
    expect((await everything(store)).map(({ id }) => id)).toEqual([back!.id]);
    // The number of shards has a message, too.
    expect(await count("store")).toBe(2);
  });

  test("takes no record away that came while it forgot", async () => {
    const { server, streams, count } = await startNats();
    const time = calendar();
    const store = await open(nats(server.url), time.clock);
    const other = await open(nats(server.url), time.clock);
    let writing: Promise<unknown> = Promise.resolve();
    for (let round = 0; round < 5; round++) {
      const keys = await deleteMany(store, 40);
      const versions = await Promise.all(keys.map((key) => loaded(store, key)));
      time.day += 8;
      const forgetting = store.due(WHERE, 0, MANY);
      // Half of them come back under the version of their deletion, or under none.
      const results = keys.slice(20).map(async (key, n) => {
        const expected = versions[n + 20]!.version;
        const [result] = await other.write([put(key, { expected, data: "back" })]);
        if (!result!.ok) await written(other, put(key, { data: "back" }));
      });
      writing = Promise.all(results);
      await Promise.all([forgetting, writing]);
      for (const key of keys.slice(20)) expect((await loaded(store, key))?.data).toBe("back");
      await waitUntil("the others are gone", async () => {
        // What was overtaken is left for the next time.
        time.day += 0.001;
        await store.due(WHERE, 0, MANY);
        return (await count("gone")) === 0;
      });
      for (const key of keys.slice(0, 20)) expect(await loaded(store, key)).toBeUndefined();
    }
    expect((await streams.info("KV_catga_forget_gone")).state.last_seq).toBe(200);
  });

  test("writes nothing where its account is nearly full: the server would lose it", async () => {
    const users = `users: [{ user: "a", password: "a" }]`;
    const { server, admin, streams } = await startNats(
      `accounts { A { jetstream { max_file: 1MB }, ${users} } }, no_auth_user: "a"`,
    );
    const time = calendar();
    const store = await open(nats(server.url), time.clock);
    const key = someKey(WHERE);
    const version = await written(store, put(key, { data: "kept", dueMs: 5 }));
    await streams.add({ name: "other", subjects: ["other"] });
    const filling = jetstream(admin);
    for (let n = 0; n < 101; n++) await filling.publish("other", "x".repeat(10_000));
    time.day = 1;
    for (const data of ["y".repeat(100_000), undefined]) {
      const reason = await reasonOf(store.write([put(key, { expected: version, data })]));
      expect(reason).toBe("its account is nearly full");
    }
    expect((await loaded(store, key))?.data).toBe("kept");
    await streams.purge("other");
    time.day = 2;
    await written(store, put(key, { expected: version, data: "new" }));
  });

  test("keeps the word of a deletion that may still come, and drops what never came", async () => {
    const { server, admin, count } = await startNats();
    const time = calendar();
    const store = await open(nats(server.url), time.clock);
    const [key] = [someKey(WHERE)];
    await written(store, put(key));
    admin.publish(`$KV.catga_forget_gone.cart.${key.id}`);
    admin.publish("$KV.catga_forget_gone.cart.never");
    await admin.flush();
    await store.due(WHERE, 0, MANY);
    time.day = 6;
    await store.due(WHERE, 0, MANY);
    expect(await count("gone")).toBe(2);
    time.day = 8;
    await store.due(WHERE, 0, MANY);
    await waitUntil("they are dropped", async () => (await count("gone")) === 0);
    expect((await loaded(store, key))?.data).toBe("{}");
  });

  test("drops a reminder that was left over where another one is right", async () => {
    const { server, admin, count } = await startNats();
    const time = calendar();
    const store = await open(nats(server.url), time.clock);
    const [key, gone] = [someKey(WHERE), someKey(WHERE)];
    const version = await written(store, put(key, { dueMs: 1e14 }));
    const [end] = await deleteMany(store, 1);
    const said = [`200000000000000.${version - 1}.${key.id}`, `5.${version - 1}.${gone.id}`];
    for (const each of said) admin.publish(`$KV.catga_forget_due.cart.0.3.${each}`);
    await admin.flush();
    expect(await store.due(WHERE, 0, MANY)).toEqual([]);
    expect(await count("due")).toBe(2);
    // Of one whose record was forgotten, or was never written, nobody says anything after a week.
    for (let n = 0; n < 2; n++) {
      expect((await store.due(WHERE, 9, MANY)).map(({ id }) => id)).toEqual([gone.id]);
    }
    time.day = 8;
    expect(await store.due(WHERE, 9, MANY)).toEqual([]);
    expect(await count("due")).toBe(1);
    await waitUntil("the deletion is forgotten", async () => !(await loaded(store, end!)));
  });
});

describe.if(brokersAreWanted())("a store at Redis", () => {
  test("forgets more than it is told to delete", async () => {
    const server = await RedisServer.start();
    ends.push(() => server.stop());
    const time = calendar();
    const store = await open(redis(server.url), time.clock);
    for (let week = 0; week < 4; week++) {
      await deleteMany(store, 500);
      time.day += 8;
    }
    // Those of the last week, and what one batch was short of.
    expect(await server.ask("ZCARD", "{catga:forget}:gone")).toBeLessThan(600);
  });
});
