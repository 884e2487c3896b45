/**
 * The store in Redis. Everything is under one hash tag, so it stays together:
 *
 * | key | holds |
 * |---|---|
 * | `{<prefix>:<cluster>}:store` | hash: `shards`, `identity`, and by `<type>/<id>` the records |
 * | `{<prefix>:<cluster>}:gone` | sorted set: deleted entities by the time of that |
 * | `{<prefix>:<cluster>}:due:<type>:<shard>` | sorted set: ids by when they are due |
 *
 * One script compares version and fence and writes record and reminder, so each write is atomic,
 * and a batch costs one step. When an answer was lost it is asked again with the same operations.
 * The hash as a whole is what a server has kept or lost; what it has acknowledged it keeps as well
 * as its `appendfsync` says.
 */
import { CatgaError } from "../../base/errors.ts";
import { DELETED_MS, IDENTITY_CHARS } from "../../base/limits.ts";
import type {
  DueEntity,
  Store,
  StoredEntity,
  StoredRecord,
  StoreKey,
  StorePage,
  StoreResult,
  StoreWrite,
} from "../../ports/store.ts";
import { entityKey } from "../../protocol/ids.ts";
import { Asking, transferMsOf } from "../broker/asking.ts";
import * as records from "../broker/record.ts";
import { refusalOf } from "./access.ts";
import { Connection, type Dialer } from "./connection.ts";
import { DUE, type Script, WRITE } from "./store-scripts.ts";

/** What the store of one node is made of. */
export interface RedisStoreParts extends Dialer {
  /** Begins all keys. */
  readonly tag: string;
  readonly shardCount: number;
}

/** Redis takes far more, and stands still meanwhile for everybody. */
const BYTES_MAX = 8 * 1_048_576;
/** A server that writes to its disk may make everybody wait for a second. */
const ANSWER_MS = 1_500;
/** Entities of a page, roughly. */
const PAGE_COUNT = 64;
/** No entity has these fields: they have no slash. */
const SHARDS = "shards";
const IDENTITY = "identity";
/** The server cannot do it now, or is not what it was: look again whom we talk to. */
const ANOTHER = /^(?:READONLY|NOPERM|WRONGTYPE)/;
/** It starts, or is busy with a script. */
const LATER = /^(?:LOADING|BUSY|TRYAGAIN|MASTERDOWN|CLUSTERDOWN)/;

/** More would keep the server from others for too long. */
const QUESTIONS_MAX = 32;

type Argument = string | number;

/** Who is due somewhere. */
interface DueQuestion {
  readonly key: string;
  readonly untilMs: number;
  readonly limit: number;
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** See the file's header. */
export class RedisStore implements Store {
  identity = "";
  readonly bytesMax: number = BYTES_MAX;
  readonly #parts: RedisStoreParts;
  readonly #asking: Asking;
  /** Who is due, asked for in this burst. */
  #questions: DueQuestion[] = [];
  #connection: Connection | undefined;
  /** Which start of the server it is. */
  #start = "";
  #isClosed = false;

  private constructor(parts: RedisStoreParts) {
    this.#parts = parts;
    const { clock, access } = parts;
    this.#asking = new Asking({ store: `Redis at ${access.address}`, clock, mayPass });
  }

  /**
   * Opens it; it is made when there is none.
   *
   * @throws {CatgaError} SETTINGS_DIFFER, BROKER_REFUSED, BROKER_UNREACHABLE, BROKER_TOO_OLD,
   * BROKER_READ_ONLY, MISSING_PACKAGE
   */
  static async open(parts: RedisStoreParts): Promise<RedisStore> {
    const store = new RedisStore(parts);
    await store.#attach();
    return store;
  }

  load({ entity, id }: StoreKey): Promise<StoredRecord | undefined> {
    return this.#asking.ask(async () => {
      const field = entityKey(entity, id);
      const text = (await this.#call("HGET", this.#key("store"), field)) as string | null;
      return text === null ? undefined : records.storedOf(records.recordOf(text, field));
    });
  }

  async write(writes: readonly StoreWrite[]): Promise<StoreResult[]> {
    const batches = records.batchesOf(records.plansOf(writes, this.#parts, BYTES_MAX));
    return this.#asking.during(async () => {
      const results: StoreResult[] = [];
      for (const batch of batches) {
        results.push(...(await this.#asking.persist(() => this.#write(batch))));
      }
      return results;
    });
  }

  due(where: Omit<StoreKey, "id">, untilMs: number, limit: number): Promise<DueEntity[]> {
    const key = this.#dueKey(where);
    return this.#asking.ask(async () => {
      const reply = await new Promise((resolve, reject) => {
        if (this.#questions.length === 0) this.#parts.clock.yield(() => this.#askForDue());
        this.#questions.push({ key, untilMs, limit, resolve, reject });
      });
      return pairsOf(reply).map(([id, dueMs]) => ({ id, dueMs: Number(dueMs) }));
    });
  }

  page(after = ""): Promise<StorePage> {
    return this.#asking.ask(async () => {
      const store = this.#key("store");
      // A cursor means nothing to another start of the server, which has hashed all anew.
      const [last = "", start] = after.split(".");
      const cursor = start === this.#start ? last : "0";
      const total = after === "" ? { total: Number(await this.#call("HLEN", store)) - 2 } : {};
      const reply = await this.#call("HSCAN", store, cursor, "COUNT", PAGE_COUNT);
      const [next, items] = reply as [string, unknown];
      const found = pairsOf(items).filter(([field]) => field.includes("/"));
      const isLast = next === "0";
      return {
        found: found.map(entityIn),
        next: isLast ? undefined : `${next}.${this.#start}`,
        ...total,
      };
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#asking.close();
    this.#connection?.end(new Error("the store was closed"));
  }

  async #attach(): Promise<void> {
    const { access, shardCount, random } = this.#parts;
    const connection = await Connection.open(this.#parts, ANSWER_MS, "is silent");
    const store = this.#key("store");
    const settle = async (field: string, ours: string | number): Promise<string> => {
      if (shardCount > 0) await connection.call("HSETNX", store, field, ours);
      const found = await connection.call("HGET", store, field);
      return typeof found === "string" ? found : "";
    };
    try {
      this.#start = await connection.inspect(this.#parts, "store");
      const theirs = Number(await settle(SHARDS, shardCount));
      if (theirs === 0) throw this.#asking.unavailable(new Error(`there is no "${store}"`));
      if (theirs !== shardCount) {
        const details = { setting: "shardCount", ours: shardCount, theirs };
        throw new CatgaError("SETTINGS_DIFFER", details);
      }
      const identity = await settle(IDENTITY, this.identity || random.text(IDENTITY_CHARS));
      this.identity ||= identity;
      if (this.#isClosed) throw new Error("the store was closed meanwhile");
    } catch (error) {
      connection.end(error as Error);
      throw refusalOf(error, access.address);
    }
    this.#connection = connection;
    connection.follow(
      this.#parts,
      () => !this.#isClosed,
      () => this.#attach(),
    );
  }

  /** Who is due in shards that were asked for in one burst is one question. */
  #askForDue(): void {
    const questions = this.#questions;
    this.#questions = [];
    while (questions.length > 0) {
      const part = questions.splice(0, QUESTIONS_MAX);
      const keys = part.map(({ key }) => key);
      const ranges = part.flatMap(({ untilMs, limit }) => [untilMs, limit]);
      this.#run(DUE, keys, ranges).then(
        (replies) => {
          for (const [i, { resolve }] of part.entries()) resolve((replies as unknown[])[i]);
        },
        (error: Error) => {
          for (const { reject } of part) reject(error);
        },
      );
    }
  }

  async #write(batch: records.Batch): Promise<StoreResult[]> {
    const { plans, wasSent } = batch;
    const keys = [this.#key("store"), this.#key("gone")];
    const nowMs = Math.floor(this.#parts.clock.wallMs());
    const args: Argument[] = [nowMs - DELETED_MS, nowMs];
    for (const plan of plans) {
      const { entity, id, expected } = plan.write;
      keys.push(this.#dueKey(plan.write));
      args.push(entityKey(entity, id), expected, records.textOfRecord(plan));
    }
    if (this.#connection?.isEnded === false) batch.wasSent = true;
    const reply = (await this.#run(WRITE, keys, args)) as string[];
    return plans.map((plan, i) => {
      const text = reply[i]!;
      if (!text.startsWith("-")) return { ok: true, version: Number(text) };
      const field = entityKey(plan.write.entity, plan.write.id);
      const current = text === "-" ? undefined : records.recordOf(text.slice(1), field);
      const result = records.resultOf(plan, current, wasSent);
      if (result === undefined) throw this.#asking.unavailable(new Error(records.IN_DOUBT));
      return result;
    });
  }

  /** The whole script is sent to a server that has not seen it, which has done nothing then. */
  async #run(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    try {
      return await this.#call("EVALSHA", script.digest, keys.length, ...keys, ...args);
    } catch (error) {
      if (!(error as Error).message.startsWith("NOSCRIPT")) throw error;
      return this.#call("EVAL", script.text, keys.length, ...keys, ...args);
    }
  }

  async #call(command: string, ...args: readonly Argument[]): Promise<unknown> {
    const connection = this.#connection!;
    if (connection.isEnded) throw new Error("the connection to Redis has ended");
    const bytes = args.reduce<number>((sum, each) => sum + lengthOf(each), 0);
    const work = connection.commanding.call(command, ...args);
    try {
      return await connection.within(work, transferMsOf(bytes));
    } catch (error) {
      if (ANOTHER.test((error as Error).message)) connection.end(error as Error);
      throw error;
    }
  }

  #key(name: string): string {
    return `${this.#parts.tag}:${name}`;
  }

  #dueKey({ entity, shard }: Omit<StoreKey, "id">): string {
    return this.#key(`due:${entity}:${shard}`);
  }
}

function lengthOf(each: Argument): number {
  return typeof each === "string" ? each.length : 0;
}

function entityIn([field, text]: readonly [string, string]): StoredEntity {
  const at = field.indexOf("/");
  return records.entityOf(field.slice(0, at), field.slice(at + 1), text);
}

function pairsOf(reply: unknown): (readonly [string, string])[] {
  const list = reply as readonly string[];
  return list.flatMap((field, i) => (i % 2 === 0 ? [[field, list[i + 1]!] as const] : []));
}

function mayPass(error: unknown): boolean {
  const { name, message } = error as Error;
  return name !== "ReplyError" || LATER.test(message) || ANOTHER.test(message);
}
