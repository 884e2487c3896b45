/** Stores of every kind, and how each of them is harmed and healed again. */
import { DatabaseSync } from "node:sqlite";
import { renameSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { CatgaError } from "../../src/base/errors.ts";
import { nats } from "../../src/drivers/nats/index.ts";
import { redis } from "../../src/drivers/redis/index.ts";
import { sqlite } from "../../src/drivers/sqlite/index.ts";
import type { StoreDriver, StoreKey } from "../../src/ports/store.ts";
import { brokersAreWanted } from "../drivers/broker-process.ts";
import { NatsServer } from "../drivers/nats-server.ts";
import { Proxy } from "../drivers/proxy.ts";
import { RedisServer } from "../drivers/redis-server.ts";
import { TestFolder } from "../drivers/sqlite-fixture.ts";
import { openStore } from "../drivers/store-fixture.ts";
import { spied } from "./kept.ts";

/** The cluster whose entities are kept. */
export const CLUSTER = "bad-stores";
/** How much later a slow store answers. */
const SLOW_MS = 200;
/** Of the shards of the cluster. */
export const SHARDS = 16;

/** Makes good again what was done. */
export type Heal = () => Promise<unknown>;

/** A store that is harmed in every way its kind can be. Records are counters, by their id. */
export interface Patient {
  readonly driver: StoreDriver;
  /** What is kept of an entity, as the store has it. */
  raw(id: string): Promise<string>;
  /** Puts something there, past catga. */
  spoil(id: string, raw: string): Promise<unknown>;
  /** Keeps things of somebody else beside ours, among them `counter/stranger`, which is due. */
  litter(): Promise<unknown>;
  /** @default it cannot be done from outside */
  fill?(): Promise<Heal>;
  slow(): Promise<Heal>;
  leave(): Promise<Heal>;
  end(): Promise<unknown>;
}

/** A kind of store. */
export interface Kind {
  readonly name: "memory" | "sqlite" | "nats" | "redis";
  readonly start: () => Promise<Patient>;
}

/** All kinds; those at a broker only where brokers are wanted. */
export function kinds(): Kind[] {
  const all: readonly Kind[] = [
    { name: "memory", start: inMemory },
    { name: "sqlite", start: inFile },
    { name: "nats", start: atNats },
    { name: "redis", start: atRedis },
  ];
  return brokersAreWanted() ? [...all] : all.slice(0, 2);
}

async function inMemory(): Promise<Patient> {
  const { spy, driver } = spied();
  const store = await openStore(driver, CLUSTER, { shardCount: SHARDS });
  const spoil = async (id: string, data: string, dueMs?: number): Promise<void> => {
    const { version: expected = 0, fence = "" } = (await store.load(keyOf(id))) ?? {};
    await store.write([{ ...keyOf(id), expected, fence, data, dueMs }]);
  };
  const harm =
    (beforeWrite: () => Promise<void>, beforeLoad = nothing) =>
    async () => {
      Object.assign(spy, { beforeWrite, beforeLoad });
      return async () => Object.assign(spy, { beforeWrite: nothing, beforeLoad: nothing });
    };
  return {
    driver,
    raw: async (id) => (await store.load(keyOf(id)))?.data ?? "",
    spoil,
    litter: () => spoil("stranger", "of somebody else", 1),
    fill: harm(refusing("it is full")),
    slow: harm(() => wait(SLOW_MS)),
    leave: harm(refusing("it is away"), refusing("it is away")),
    end: () => store.close(),
  };
}

function keyOf(id: string): StoreKey {
  return { entity: "counter", id, shard: 3 };
}

function refusing(reason: string) {
  return async (): Promise<void> => {
    throw new CatgaError("STORE_UNAVAILABLE", { store: "memory", reason });
  };
}

async function nothing(): Promise<void> {}

async function inFile(): Promise<Patient> {
  const folder = new TestFolder();
  const { file } = folder;
  const run = async <T>(work: (database: DatabaseSync) => T): Promise<T> => {
    const database = new DatabaseSync(file);
    database.exec("PRAGMA busy_timeout = 10000");
    try {
      return work(database);
    } finally {
      database.close();
    }
  };
  return {
    driver: sqlite({ file }),
    raw: (id) =>
      run((database) => {
        const row = database.prepare("SELECT data FROM entities WHERE id = ?").get(id);
        return Buffer.from((row?.["data"] as Uint8Array | undefined) ?? []).toString();
      }),
    spoil: (id, raw) =>
      run((database) => {
        database.prepare("UPDATE entities SET data = ? WHERE id = ?").run(Buffer.from(raw), id);
      }),
    litter: () =>
      run((database) => {
        database.exec(`CREATE TABLE notes (text); INSERT INTO notes VALUES ('hello');
          INSERT INTO entities VALUES (7, 'counter', 'a', 1, 1, 'x', 'hello', 1);
          INSERT INTO entities VALUES (1, 'stranger', 'a', 1, 1, 'x', 'hello', 1);
          INSERT INTO entities VALUES (1, 'counter', 'stranger', 3, 1, '', 'hello', 1)`);
      }),
    async slow() {
      const database = new DatabaseSync(file);
      database.exec("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE");
      const ended = wait(SLOW_MS).then(() => {
        database.exec("ROLLBACK");
        database.close();
      });
      return () => ended;
    },
    async leave() {
      renameSync(file, `${file}.away`);
      return async () => renameSync(`${file}.away`, file);
    },
    end: async () => folder[Symbol.dispose](),
  };
}

async function atNats(): Promise<Patient> {
  const server = await NatsServer.start();
  const proxy = await Proxy.to(server.port);
  const admin = await connect({
    servers: server.url.slice("nats://".length),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 50,
  });
  const { streams } = await jetstreamManager(admin);
  const bucket = `catga_${CLUSTER}`;
  const stream = `KV_${bucket}_store`;
  const subjectOf = (id: string): string => `$KV.${bucket}_store.e.counter.${id}`;
  const put = async (subject: string, raw: string): Promise<void> => {
    // Asked for, so that it is there afterwards.
    await admin.request(subject, raw);
  };
  return {
    driver: nats(`nats://127.0.0.1:${proxy.port}`),
    raw: async (id) =>
      (await streams.getMessage(stream, { last_by_subj: subjectOf(id) }))!.string(),
    spoil: (id, raw) => put(subjectOf(id), raw),
    async litter() {
      await put(`$KV.${bucket}_store.notes`, "hello");
      await put(`$KV.${bucket}_store.e.other.a.b`, "hello");
      await put(subjectOf("stranger"), "hello");
      await put(`$KV.${bucket}_due.hello`, "hello");
      await put(`$KV.${bucket}_due.counter.0.3.x.y.z`, "hello");
      await put(`$KV.${bucket}_due.counter.0.3.1.1.stranger`, "hello");
    },
    async fill() {
      const { state } = await streams.info(stream);
      await streams.update(stream, { max_bytes: state.bytes });
      return () => streams.update(stream, { max_bytes: -1 });
    },
    slow: () => slow(proxy),
    async leave() {
      await server.kill();
      return () => server.resume();
    },
    async end() {
      await admin.close();
      proxy.close();
      await server.stop();
    },
  };
}

async function atRedis(): Promise<Patient> {
  const server = await RedisServer.start();
  const proxy = await Proxy.to(server.port);
  const key = `{catga:${CLUSTER}}`;
  return {
    driver: redis(`redis://127.0.0.1:${proxy.port}`),
    raw: async (id) => String(await server.ask("HGET", `${key}:store`, `counter/${id}`)),
    spoil: (id, raw) => server.ask("HSET", `${key}:store`, `counter/${id}`, raw),
    async litter() {
      await server.ask("HSET", `${key}:store`, "notes", "hello");
      await server.ask("HSET", `${key}:store`, "counter/stranger", "hello");
      await server.ask("HSET", `${key}:store`, "other/a", "hello");
      await server.ask("ZADD", `${key}:due:counter:3`, "1", "stranger");
      await server.ask("ZADD", `${key}:gone`, "1", "notes");
      await server.ask("SET", `${key}:notes`, "hello");
    },
    async fill() {
      await server.ask("CONFIG", "SET", "maxmemory", "1");
      return () => server.ask("CONFIG", "SET", "maxmemory", "0");
    },
    slow: () => slow(proxy),
    async leave() {
      await server.kill();
      return () => server.resume();
    },
    async end() {
      proxy.close();
      await server.stop();
    },
  };
}

async function slow(proxy: Proxy): Promise<Heal> {
  proxy.delay(SLOW_MS);
  return async () => proxy.delay(0);
}
