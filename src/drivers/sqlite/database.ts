/**
 * The file: what is in it, and each step that reads or changes it. All of it blocks, so it runs in
 * a thread of its own; nothing waits here for the locks of others, it throws, and
 * {@link isLocked} says so.
 *
 * A row is an entity. Data is kept as bytes, for texts with U+0000 do not come back whole on every
 * runtime. The number of a cluster is part of every key, so clusters may share a file. Of a deleted
 * entity `due` says when it is forgotten; of one that an older catga has deleted it says nothing
 * until it is seen. What is forgotten makes room for others, the file does not shrink.
 */
import { Buffer } from "node:buffer";
import { chmodSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type SQLOutputValue, type StatementSync } from "node:sqlite";
import { CatgaError } from "../../base/errors.ts";
import { DELETED_MS } from "../../base/limits.ts";
import type {
  DueEntity,
  StoredEntity,
  StoredRecord,
  StoreKey,
  StorePage,
  StoreResult,
  StoreWrite,
} from "../../ports/store.ts";
import type { Place, Question } from "./order.ts";

/** "catg", in the header of the file: nobody else's database is written to. */
const APPLICATION_ID = 0x63_61_74_67;
const SCHEMA_VERSION = 1;
/** The log of changes is taken over into the database when it is longer, and then cut to this. */
const LOG_BYTES_MAX = 4_194_304;
/** A page of an export: large enough to be quick, small enough for two threads' memory. */
const PAGE_ENTITIES_MAX = 500;
const PAGE_BYTES_MAX = 4_194_304;
/** Entities that are forgotten in one step: nobody else writes for some milliseconds. */
const FORGOTTEN_MAX = 500;

// Times are REAL, for a whole number beyond 2^53 could not be read again.
const TABLES = `
  CREATE TABLE IF NOT EXISTS clusters (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, shard_count INTEGER NOT NULL
  );
  CREATE TABLE IF NOT EXISTS identities (cluster INTEGER PRIMARY KEY, identity TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS entities (
    cluster INTEGER NOT NULL, entity TEXT NOT NULL, id TEXT NOT NULL, shard INTEGER NOT NULL,
    version INTEGER NOT NULL, fence TEXT NOT NULL, data BLOB, due REAL,
    UNIQUE (cluster, entity, id)
  );
  CREATE INDEX IF NOT EXISTS entities_due ON entities (cluster, entity, shard, due)
    WHERE due IS NOT NULL;
  CREATE INDEX IF NOT EXISTS entities_gone ON entities (due) WHERE data IS NULL;
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

type Statements = Readonly<
  Record<
    "load" | "insert" | "update" | "due" | "next" | "count" | "date" | "forget" | "takeOver",
    StatementSync
  >
>;
type Joined = { readonly number: number; readonly identity: string };
type Row = Record<string, SQLOutputValue>;

/** True for an error that says that somebody else has a lock: nothing was done, try again. */
export function isLocked(error: unknown): boolean {
  const code = (error as { readonly errcode?: number }).errcode ?? 0;
  return [5, 15].includes(code & 0xff); // SQLITE_BUSY, SQLITE_PROTOCOL
}

/** See the file's header. */
export class Database {
  /** Of what this cluster has in this file. */
  readonly identity: string;
  readonly #file: string;
  readonly #inode: number;
  readonly #db: DatabaseSync;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #sql: Statements;

  /**
   * Opens the file, and makes it if there is none.
   *
   * @throws {CatgaError} SETTINGS_DIFFER
   * @throws {Error} of SQLite or the system, or one that says whose file it is
   */
  constructor({ file, cluster, shardCount, synchronous }: Place) {
    if (shardCount === 0) statSync(file);
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const db = new DatabaseSync(file);
    try {
      prepareFile(db, file);
      // Left to itself SQLite never gets to the end of the log while several processes write.
      db.exec(`PRAGMA synchronous = ${synchronous}; PRAGMA wal_autocheckpoint = 0;
        PRAGMA journal_size_limit = ${LOG_BYTES_MAX}`);
      this.#db = db;
      this.#file = file;
      this.#inode = statSync(file).ino;
      // Prepared, for on Deno others do not say that they have met a lock.
      this.#begin = db.prepare("BEGIN IMMEDIATE");
      this.#commit = db.prepare("COMMIT");
      const { number, identity } = this.transaction(() => joinCluster(db, cluster, shardCount));
      this.identity = identity;
      this.#sql = statementsOn(db, number);
    } catch (error) {
      db.close();
      throw error;
    }
  }

  /** Answers as the store does. */
  read(question: Question): unknown {
    this.#checkPlace();
    if (question.kind === "load") return this.#find(question.key);
    if (question.kind === "page") return this.#page(question.after);
    const { where, untilMs, limit } = question;
    const rows = this.#sql.due.all(where.entity, where.shard, untilMs, limit);
    return rows.map(({ id, due }): DueEntity => ({ id: String(id), dueMs: Number(due) }));
  }

  /** One compare-and-set. */
  write(write: StoreWrite, nowMs: number): StoreResult {
    const { entity, id, shard, expected, fence } = write;
    const data = write.data === undefined ? null : Buffer.from(write.data);
    const dueMs = data === null ? nowMs + DELETED_MS : (write.dueMs ?? null);
    const { changes } =
      expected === 0
        ? this.#sql.insert.run(entity, id, shard, fence, data, dueMs)
        : this.#sql.update.run(shard, fence, data, dueMs, entity, id, expected, fence);
    if (changes === 1) return { ok: true, version: expected + 1 };
    return { ok: false, current: this.#find(write) };
  }

  /** Forgets some of the deletions whose time is over; true when there may be more. */
  forget(nowMs: number): boolean {
    const counts = this.transaction(() => [
      this.#sql.date.run(nowMs + DELETED_MS).changes,
      this.#sql.forget.run(nowMs).changes,
    ]);
    this.tidyLog();
    return counts.includes(FORGOTTEN_MAX);
  }

  /**
   * Everything that `run` does, or nothing, durable when this returns. When it throws, it is not
   * known which.
   */
  transaction<T>(run: () => T): T {
    this.#begin.run();
    try {
      const result = run();
      this.#checkPlace();
      this.#commit.run();
      return result;
    } catch (error) {
      rollBack(this.#db);
      throw error;
    }
  }

  /**
   * Takes a log that is too long over into the database; others cannot write meanwhile. When others
   * have a lock, or there is no room, the log stays: it is tried after the next transaction.
   */
  tidyLog(): void {
    try {
      const log = statSync(`${this.#file}-wal`, { throwIfNoEntry: false });
      if ((log?.size ?? 0) <= LOG_BYTES_MAX) return;
      this.#sql.takeOver.get();
    } catch {
      // What was answered is in the log, whatever becomes of this.
    }
  }

  /** The last one that closes takes the log over into the database, and removes it. */
  close(): void {
    this.#db.close();
  }

  #find({ entity, id }: StoreKey): StoredRecord | undefined {
    const row = this.#sql.load.get(entity, id);
    return row && recordIn(row);
  }

  /** `after` is what the last page said: the last entity it had. */
  #page(after?: string): StorePage {
    const found: StoredEntity[] = [];
    const first = after === undefined ? { total: Number(this.#sql.count.get()?.["n"]) } : {};
    let [entity, id] = JSON.parse(after ?? '["",""]') as [string, string];
    for (let bytes = 0; found.length < PAGE_ENTITIES_MAX && bytes < PAGE_BYTES_MAX;) {
      const row = this.#sql.next.get(entity, id);
      if (row === undefined) return { found, next: undefined, ...first };
      [entity, id] = [String(row["entity"]), String(row["id"])];
      const record = recordIn(row);
      const isDue = row["due"] !== null && record.data !== undefined;
      const dueMs = isDue ? Number(row["due"]) : undefined;
      found.push({ entity, id, shard: Number(row["shard"]), ...record, dueMs });
      bytes += record.data?.length ?? 0;
    }
    return { found, next: JSON.stringify([entity, id]), ...first };
  }

  /**
   * Nobody else would ever read what is written into a file that has lost its name.
   *
   * @throws {Error} when the file was moved, deleted or replaced
   */
  #checkPlace(): void {
    const isHere = statSync(this.#file, { throwIfNoEntry: false })?.ino === this.#inode;
    if (!isHere) throw new Error("its file was moved, deleted or replaced");
  }
}

function rollBack(db: DatabaseSync): void {
  try {
    db.exec("ROLLBACK");
  } catch {
    // Some failures, such as a full disk, have rolled back already.
  }
}

/** Looks whose file it is before anything is changed in it. */
function prepareFile(db: DatabaseSync, file: string): void {
  const ask = (text: string): string => String(Object.values(db.prepare(text).get() ?? {})[0]);
  const isNew = ask("SELECT count(*) FROM sqlite_schema") === "0";
  const owner = Number(ask("PRAGMA application_id"));
  if (owner !== APPLICATION_ID && !(isNew && owner === 0)) {
    throw new Error("the file is a database of something else");
  }
  const version = Number(ask("PRAGMA user_version"));
  if (version !== SCHEMA_VERSION && !isNew) {
    throw new Error(`the file has version ${version}, and this catga knows ${SCHEMA_VERSION}`);
  }
  // Whatever is kept is not for others; the log gets the same mode.
  if (isNew) chmodSync(file, 0o600);
  if (ask("PRAGMA journal_mode = WAL") !== "wal") {
    throw new Error("the file cannot have a log beside it (WAL), which several processes need");
  }
}

/** The number of the cluster in this file, and which store that is. */
function joinCluster(db: DatabaseSync, cluster: string, shardCount: number): Joined {
  db.exec(TABLES);
  const add = "INSERT INTO clusters (name, shard_count) VALUES (?, ?) ON CONFLICT DO NOTHING";
  if (shardCount > 0) db.prepare(add).run(cluster, shardCount);
  const found = db.prepare("SELECT number, shard_count FROM clusters WHERE name = ?").get(cluster);
  if (found === undefined) throw new Error(`it keeps nothing of cluster "${cluster}"`);
  const theirs = Number(found["shard_count"]);
  if (theirs !== shardCount) {
    throw new CatgaError("SETTINGS_DIFFER", { setting: "shardCount", ours: shardCount, theirs });
  }
  const number = Number(found["number"]);
  const make = "INSERT INTO identities VALUES (?, lower(hex(randomblob(8))))";
  db.prepare(`${make} ON CONFLICT DO NOTHING`).run(number);
  const own = db.prepare("SELECT identity FROM identities WHERE cluster = ?").get(number);
  return { number, identity: String(own?.["identity"]) };
}

function statementsOn(db: DatabaseSync, cluster: number): Statements {
  const where = `cluster = ${cluster} AND entity = ?`;
  return {
    load: db.prepare(`SELECT version, fence, data FROM entities WHERE ${where} AND id = ?`),
    insert: db.prepare(
      `INSERT INTO entities VALUES (${cluster}, ?, ?, ?, 1, ?, ?, ?) ON CONFLICT DO NOTHING`,
    ),
    update: db.prepare(
      `UPDATE entities SET shard = ?, version = version + 1, fence = ?, data = ?, due = ?
       WHERE ${where} AND id = ? AND version = ? AND fence <= ?`,
    ),
    due: db.prepare(
      `SELECT id, due FROM entities WHERE ${where} AND shard = ? AND due <= ? AND data IS NOT NULL
       ORDER BY due LIMIT ?`,
    ),
    next: db.prepare(
      `SELECT * FROM entities WHERE cluster = ${cluster} AND (entity, id) > (?, ?)
       ORDER BY entity, id LIMIT 1`,
    ),
    date: db.prepare(`UPDATE entities SET due = ? WHERE ${someGone("due IS NULL")}`),
    forget: db.prepare(`DELETE FROM entities WHERE ${someGone("due <= ?")}`),
    count: db.prepare(`SELECT count(*) AS n FROM entities WHERE cluster = ${cluster}`),
    takeOver: db.prepare("PRAGMA wal_checkpoint(RESTART)"),
  };
}

/** Of all clusters in the file, for those that are gone as well. */
function someGone(which: string): string {
  const rows = `SELECT rowid FROM entities WHERE data IS NULL AND ${which}`;
  return `rowid IN (${rows} LIMIT ${FORGOTTEN_MAX})`;
}

function recordIn({ version, fence, data }: Row): StoredRecord {
  return { version: Number(version), fence: String(fence), data: textOf(data) };
}

function textOf(data: SQLOutputValue | undefined): string | undefined {
  if (!(data instanceof Uint8Array)) return typeof data === "string" ? data : undefined;
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString();
}
