/** Stores at a broker that is full, or has what nobody can read. */
import { afterEach, describe, expect, test } from "bun:test";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { systemClock } from "../../src/base/clock.ts";
import { isCatgaError } from "../../src/base/errors.ts";
import { nats } from "../../src/drivers/nats/index.ts";
import { redis } from "../../src/drivers/redis/index.ts";
import type { Store, StoreContext, StoreDriver } from "../../src/ports/store.ts";
import { everything, fence, loaded, put, refused, someKey, written } from "../contracts/kept.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { brokersAreWanted } from "./broker-process.ts";
import { connectPorts } from "./fixtures.ts";
import { NatsServer } from "./nats-server.ts";
import { RedisServer } from "./redis-server.ts";
import { TestFolder } from "./sqlite-fixture.ts";
import { openStore } from "./store-fixture.ts";
import { reasonOf } from "./store-outage.ts";

const DAY_MS = 86_400_000;
const WHERE = { entity: "cart", shard: 3 };
const LARGE = "x".repeat(20_000);
const STRANGER = "a value of somebody else";

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

async function open(driver: StoreDriver, context?: Partial<StoreContext>): Promise<Store> {
  const store = await openStore(driver, "limits", context);
  ends.push(() => store.close());
  return store;
}

async function startNats(config?: string): Promise<{
  readonly server: NatsServer;
  readonly admin: NatsConnection;
}> {
  const server = await NatsServer.start(config);
  ends.push(() => server.stop());
  const admin = await connect({ servers: server.url.slice("nats://".length) });
  ends.push(() => admin.close());
  return { server, admin };
}

async function startRedis(...options: readonly string[]): Promise<RedisServer> {
  const server = await RedisServer.start(...options);
  ends.push(() => server.stop());
  return server;
}

/** A full store refuses what is new, keeps what it has, and goes on when there is room. */
async function overflows(
  store: Store,
  {
    fill,
    makeRoom,
  }: { readonly fill: () => Promise<unknown>; readonly makeRoom: () => Promise<unknown> },
): Promise<void> {
  const [key, other] = [someKey(WHERE), someKey(WHERE)];
  const version = await written(store, put(key, { data: "kept", dueMs: 5 }));
  await fill();
  await reasonOf(store.write([put(key, { expected: version, data: LARGE, dueMs: 5 })]));
  await reasonOf(store.write([put(other, { data: LARGE })]));
  expect(await loaded(store, key)).toEqual({ version, fence: fence(1), data: "kept" });
  expect(await loaded(store, other)).toBeUndefined();
  expect(await store.due(WHERE, 5, 9)).toEqual([{ id: key.id, dueMs: 5 }]);
  await makeRoom();
  await written(store, put(key, { expected: version, data: LARGE }));
}

/** What nobody can read is not overwritten, and the others go on. */
async function meetsStranger(store: Store, spoil: (id: string) => Promise<unknown>): Promise<void> {
  const [key, other] = [someKey(WHERE), someKey(WHERE)];
  const version = await written(store, put(key, { dueMs: 1 }));
  const beside = await written(store, put(other, { dueMs: 2 }));
  await spoil(key.id);
  const isRefused = async (work: Promise<unknown>): Promise<void> => {
    expect(await work.catch((error: unknown) => error)).toMatchObject({
      code: "STATE_CORRUPT",
      details: { entity: `cart/${key.id}` },
    });
  };
  await isRefused(store.load(key));
  for (const expected of [0, version]) {
    const write = put(key, { expected, fence: fence(9) });
    await isRefused(store.write([write]));
  }
  await isRefused(store.load(key));
  // An export shows it as it stands.
  const shown = (await everything(store)).map(({ id, data }) => [id, data]);
  expect(new Map(shown as never)).toEqual(
    new Map([
      [key.id, STRANGER],
      [other.id, "{}"],
    ]),
  );
  const due = await store.due(WHERE, 2, 9);
  expect(due.map(({ id }) => id)).toEqual([key.id, other.id]);
  await written(store, put(other, { expected: beside }));
}

async function codeOf(work: Promise<unknown>): Promise<unknown> {
  const error: unknown = await work.catch((failure: unknown) => failure);
  return isCatgaError(error) ? error.code : error;
}

describe.if(brokersAreWanted())("a store at NATS", () => {
  test("that is full refuses, and goes on when there is room", async () => {
    const { server, admin } = await startNats();
    const { streams } = await jetstreamManager(admin);
    await overflows(await open(nats(server.url)), {
      fill: () => streams.update("KV_catga_limits_store", { max_bytes: 2_000 }),
      makeRoom: () => streams.update("KV_catga_limits_store", { max_bytes: -1 }),
    });
  });

  test("at a server that is full refuses, and goes on when there is room", async () => {
    using folder = new TestFolder();
    const limited = `jetstream { store_dir: "${folder.path}", max_file_store: 300KB }`;
    const { server, admin } = await startNats(limited);
    const { streams } = await jetstreamManager(admin);
    await streams.add({ name: "other", subjects: ["other"] });
    const filled = (): Promise<boolean> =>
      jetstream(admin)
        .publish("other", LARGE)
        .then(
          () => false,
          () => true,
        );
    await overflows(await open(nats(server.url)), {
      fill: () => waitUntil("no more can be stored", filled),
      makeRoom: () => streams.purge("other"),
    });
  });

  test("that cannot say who is due or deleted writes no record of it", async () => {
    const { server, admin } = await startNats();
    const { streams } = await jetstreamManager(admin);
    const store = await open(nats(server.url));
    const key = someKey(WHERE);
    const version = await written(store, put(key, { dueMs: 9 }));
    await written(store, put(someKey(WHERE), { data: undefined }));
    for (const bucket of ["due", "gone"]) {
      await streams.update(`KV_catga_limits_${bucket}`, { max_msgs: 1 });
    }
    for (const write of [{ dueMs: 8 }, { data: undefined }]) {
      await reasonOf(store.write([put(key, { expected: version, ...write })]));
    }
    expect((await loaded(store, key))?.version).toBe(version);
  });

  test("does not overwrite what nobody can read", async () => {
    const { server, admin } = await startNats();
    await meetsStranger(await open(nats(server.url)), async (id) => {
      admin.publish(`$KV.catga_limits_store.e.cart.${id}`, STRANGER);
      await admin.flush();
    });
  });

  test("whose bucket is gone is unavailable, and makes none", async () => {
    const { server, admin } = await startNats();
    const { streams } = await jetstreamManager(admin);
    const store = await open(nats(server.url));
    const key = someKey(WHERE);
    const version = await written(store, put(key));
    await streams.delete("KV_catga_limits_store");
    await reasonOf(store.load(key));
    await reasonOf(store.write([put(key, { expected: version })]));
    const late = await open(nats(server.url));
    expect(await loaded(late, key)).toBeUndefined();
    await refused(store, put(key, { expected: version }), undefined);
  }, 15_000);

  test("leaves no reminder behind that was replaced", async () => {
    const { server, admin } = await startNats();
    const { streams } = await jetstreamManager(admin);
    const store = await open(nats(server.url));
    const key = someKey(WHERE);
    let version = 0;
    for (let dueMs = 1; dueMs <= 50; dueMs++) {
      version = await written(store, put(key, { expected: version, dueMs }));
      // A write that says the same time says nothing.
      version = await written(store, put(key, { expected: version, dueMs }));
    }
    await waitUntil("one is left", async () => {
      return (await streams.info("KV_catga_limits_due")).state.messages === 1;
    });
    const { state } = await streams.info("KV_catga_limits_due");
    expect(state.last_seq).toBe(50);
    await written(store, put(key, { expected: version }));
    await waitUntil("none is left", async () => {
      return (await streams.info("KV_catga_limits_due")).state.messages === 0;
    });
  });

  test("names whose record may still come, until it cannot any more", async () => {
    const { server, admin } = await startNats();
    const store = await open(nats(server.url));
    const [key, none] = [someKey(WHERE), someKey(WHERE)];
    const version = await written(store, put(key));
    const recent = version - 1;
    const said = [`5.${recent}.${key.id}`, `6.${version + 1}.${key.id}`, `7.${recent}.${none.id}`];
    for (const each of said) admin.publish(`$KV.catga_limits_due.cart.0.3.${each}`);
    await admin.flush();
    const named = [
      { id: key.id, dueMs: 6 },
      { id: none.id, dueMs: 7 },
    ];
    expect((await store.due(WHERE, 9, 9)).map(({ id }) => id)).toEqual([key.id, none.id]);
    for (let n = 0; n < 2; n++) expect(await store.due(WHERE, 9, 9)).toEqual(named);
    await written(store, put(key, { expected: version }));
    expect(await store.due(WHERE, 9, 9)).toEqual(named.slice(1));
  });

  test("keeps no replicas where two writers could win, and needs JetStream", async () => {
    const { server } = await startNats();
    const old = openStore(nats({ servers: server.url, replicas: 3 }), "limits");
    expect(await codeOf(old)).toBe("BROKER_TOO_OLD");
    const bare = await NatsServer.start("# no-jetstream");
    ends.push(() => bare.stop());
    expect(await codeOf(openStore(nats(bare.url), "limits"))).toBe("BROKER_LACKS");
    await bare.kill();
    expect(await codeOf(openStore(nats(bare.url), "limits"))).toBe("BROKER_UNREACHABLE");
  });

  test("uses a connection of one's own, and leaves it open", async () => {
    const { server, admin } = await startNats();
    const store = await openStore(nats({ connection: admin }), "limits");
    await written(store, put(someKey()));
    await store.close();
    expect(admin.isClosed()).toBe(false);
    const other = await openStore(nats(server.url), "limits");
    expect(await everything(other)).toHaveLength(1);
    await other.close();
  });
});

describe.if(brokersAreWanted())("a store at Redis", () => {
  test("that is full refuses, and goes on when there is room", async () => {
    const server = await startRedis();
    await overflows(await open(redis(server.url)), {
      fill: () => server.ask("CONFIG", "SET", "maxmemory", "1"),
      makeRoom: () => server.ask("CONFIG", "SET", "maxmemory", "0"),
    });
  });

  test("does not overwrite what nobody can read", async () => {
    const server = await startRedis();
    await meetsStranger(await open(redis(server.url)), (id) =>
      server.ask("HSET", "{catga:limits}:store", `cart/${id}`, STRANGER),
    );
  });

  test("forgets a deletion after a week, and gives its version to nobody", async () => {
    const server = await startRedis();
    let laterMs = 0;
    const clock = { ...systemClock, wallMs: () => systemClock.wallMs() + laterMs };
    const store = await open(redis(server.url), { clock });
    const [key, back, other] = [someKey(WHERE), someKey(WHERE), someKey(WHERE)];
    const gone = await written(store, put(key, { data: undefined }));
    const left = await written(store, put(back, { data: undefined }));
    const kept = await written(store, put(back, { expected: left, data: "back" }));
    laterMs = 6 * DAY_MS;
    const beside = await written(store, put(other));
    expect((await loaded(store, key))?.version).toBe(gone);
    laterMs = 8 * DAY_MS;
    await written(store, put(other, { expected: beside }));
    expect(await loaded(store, key)).toBeUndefined();
    expect((await loaded(store, back))?.version).toBe(kept);
    const again = await written(store, put(key, { data: "again" }));
    expect(again).toBeGreaterThan(gone);
    expect(await server.ask("ZCARD", "{catga:limits}:gone")).toBe(0);
  });
});

describe.if(brokersAreWanted())("one value of a driver", () => {
  test("is a transport and a store, for several clusters", async () => {
    const server = await startRedis();
    const { server: other } = await startNats();
    for (const value of [redis(server.url), nats(other.url)]) {
      const stores = [await openStore(value, "a"), await openStore(value, "b")] as const;
      const key = someKey();
      await written(stores[0], put(key));
      expect(await loaded(stores[1], key)).toBeUndefined();
      for (const store of stores) await store.close();
      const { authority, link } = await connectPorts(value, "a", { leaseMs: 10 });
      const { entries } = await authority.open({ changed() {}, resynced() {}, lost() {} });
      expect(entries).toEqual([]);
      await authority.close();
      await link.close();
    }
  });
});
