/**
 * The floor of what is stored: the store's own compare-and-set with its plain client, of a text
 * that is as long as a record. Nothing but the version is compared, the caller remembers it, and
 * one that is refused is an error.
 *
 * - SQLite: a prepared `UPDATE … WHERE id = ? AND version = ?`. All that are asked for in one burst
 *   share a transaction on the event loop, which is the best that a few lines of code can do.
 * - NATS: `js.publish` with the number of the message that is replaced.
 * - Redis: a Lua script by its digest, one command for each.
 *
 * The settings by which a write counts as kept are those of the driver beside it.
 */
import { Buffer } from "node:buffer";
import { DatabaseSync } from "node:sqlite";
import { setImmediate } from "node:timers";
import type { JetStreamClient } from "@nats-io/jetstream";
import type { BrokerKind } from "../processes/broker-kind.ts";

/** What is measured. */
export type StoreKind = "sqlite" | BrokerKind;

/** So many records, numbered from 0. */
export interface RawStore {
  /** Replaces record `at`, of which only one write may be under way. */
  write(at: number, text: string): Promise<void>;
  read(at: number): Promise<string>;
  close(): Promise<void>;
}

/** Where the records are, and how many. */
export interface RawPlace {
  /** A path, or an address of a broker. */
  readonly at: string;
  readonly count: number;
  readonly synchronous?: string;
}

const STORES: { readonly [K in StoreKind]: (place: RawPlace) => Promise<RawStore> } = {
  sqlite: rawSqlite,
  nats: rawNats,
  redis: rawRedis,
};

/** Opens one; its records are there, and empty. */
export function openRawStore(kind: StoreKind, place: RawPlace): Promise<RawStore> {
  return STORES[kind](place);
}

interface Update {
  readonly at: number;
  readonly text: string;
  readonly settle: (changes: number) => void;
}

async function rawSqlite({ at: file, count, synchronous = "full" }: RawPlace): Promise<RawStore> {
  const database = new DatabaseSync(file);
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous};
    CREATE TABLE record (id TEXT PRIMARY KEY, version INTEGER, data BLOB)`);
  const insert = database.prepare("INSERT INTO record VALUES (?, 0, ?)");
  const ids = Array.from({ length: count }, (_, n) => `raw-${n}`);
  const [begin, commit] = [database.prepare("BEGIN IMMEDIATE"), database.prepare("COMMIT")];
  begin.run();
  for (const id of ids) insert.run(id, Buffer.alloc(0));
  commit.run();
  const select = database.prepare("SELECT version, data FROM record WHERE id = ?");
  const update = database.prepare(
    "UPDATE record SET version = version + 1, data = ? WHERE id = ? AND version = ?",
  );
  const versions = new Uint32Array(count);
  let batch: Update[] = [];
  const flush = (): void => {
    const updates = batch;
    batch = [];
    begin.run();
    const changes = updates.map(
      ({ at, text }) => update.run(Buffer.from(text), ids[at]!, versions[at]!).changes,
    );
    commit.run();
    for (const [i, { settle }] of updates.entries()) settle(Number(changes[i]));
  };
  return {
    write: (at, text) =>
      new Promise((resolve, reject) => {
        const settle = (changes: number): void => {
          versions[at]!++;
          if (changes === 1) resolve();
          else reject(refused());
        };
        if (batch.push({ at, text, settle }) === 1) setImmediate(flush);
      }),
    async read(at) {
      return Buffer.from(select.get(ids[at]!)?.["data"] as Uint8Array).toString();
    },
    async close() {
      database.close();
    },
  };
}

async function rawNats({ at: servers, count }: RawPlace): Promise<RawStore> {
  const { connect } = await import("@nats-io/transport-node");
  const { DiscardPolicy, jetstream, StorageType } = await import("@nats-io/jetstream");
  const client = await connect({ servers });
  const js: JetStreamClient = jetstream(client);
  const manager = await js.jetstreamManager();
  // As a bucket of the key-value store: one message for each subject, in files.
  await manager.streams.add({
    name: "raw",
    subjects: ["raw.>"],
    max_msgs_per_subject: 1,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
  });
  const sequences = new Float64Array(count);
  return {
    async write(at, text) {
      const expect = { lastSubjectSequence: sequences[at]! };
      sequences[at] = (await js.publish(`raw.${at}`, text, { expect })).seq;
    },
    async read(at) {
      const found = await manager.streams.getMessage("raw", { last_by_subj: `raw.${at}` });
      return found?.string() ?? "";
    },
    close: () => client.close(),
  };
}

const COMPARE_AND_SET = `
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1] + 1, 'data', ARGV[2])
return 1
`;

async function rawRedis({ at: url, count }: RawPlace): Promise<RawStore> {
  const { Redis } = await import("ioredis");
  const client = new Redis(url);
  const digest = (await client.script("LOAD", COMPARE_AND_SET)) as string;
  const versions = new Uint32Array(count);
  return {
    async write(at, text) {
      const done = await client.evalsha(digest, 1, `raw:${at}`, versions[at]!, text);
      if (done !== 1) throw refused();
      versions[at]!++;
    },
    read: async (at) => (await client.hget(`raw:${at}`, "data")) ?? "",
    async close() {
      await client.quit();
    },
  };
}

function refused(): Error {
  return new Error("Cannot trust the floor: a write was refused");
}
