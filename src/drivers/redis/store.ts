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

/**
 * More is forgotten than the writes may delete, so deletions never pile up. KEYS: store, gone, and
 * for each write the reminders of its type and shard. ARGV: the time until which deletions are
 * forgotten, the time; then of each write field, expected version, fence, due,
 * record, and `-` when it deletes. The reply: of each a version, or `-` and the
 * record that stands there.
 */
const WRITE: string = `
local store, gone = KEYS[1], KEYS[2]
local old = redis.call('ZRANGEBYSCORE', gone, '-inf', ARGV[1], 'LIMIT', 0, 16 + #KEYS)
for _, field in ipairs(old) do
  redis.call('ZREM', gone, field)
  redis.call('HDEL', store, field)
end
local results = {}
for i = 1, #KEYS - 2 do
  local field, expected, fence, due, record, gap = unpack(ARGV, i * 6 - 3, i * 6 + 2)
  local current = redis.call('HGET', store, field)
  local version, stands = '0', ''
  if current then
    version, stands = string.match(current, '^(%d+)\\n([^\\n]*)\\n')
  end
  if version ~= expected or fence < stands then
    results[i] = '-' .. (current or '')
  else
    local id = string.match(field, '/(.*)$')
    if due ~= '' then redis.call('ZADD', KEYS[i + 2], due, id) end
    if gap == '-' then redis.call('ZADD', gone, ARGV[2], field) end
    redis.call('HSET', store, field, record)
    if due == '' then redis.call('ZREM', KEYS[i + 2], id) end
    if gap == '' then redis.call('ZREM', gone, field) end
    results[i] = string.match(record, '^%d+')
  end
end
return results
`;

/** See the file's header. */
export class RedisStore implements Store {
  identity = "";
  readonly bytesMax: number = BYTES_MAX;
  readonly #parts: RedisStoreParts;
  readonly #asking: Asking;
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
    return this.#asking.ask(async () => {
      const range = ["-inf", untilMs, "WITHSCORES", "LIMIT", 0, limit];
      const reply = await this.#call("ZRANGEBYSCORE", this.#dueKey(where), ...range);
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
      return String((await connection.call("HGET", store, field)) ?? "");
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

  async #write(batch: records.Batch): Promise<StoreResult[]> {
    const { plans, wasSent } = batch;
    const keys = [this.#key("store"), this.#key("gone")];
    const nowMs = Math.floor(this.#parts.clock.wallMs());
    const args: (string | number)[] = [nowMs - DELETED_MS, nowMs];
    for (const plan of plans) {
      const { entity, id, expected, fence, data, dueMs = "" } = plan.write;
      keys.push(this.#dueKey(plan.write));
      const record = records.textOfRecord(plan);
      const gap = data === undefined ? "-" : "";
      args.push(entityKey(entity, id), expected, fence, dueMs, record, gap);
    }
    if (this.#connection?.isEnded === false) batch.wasSent = true;
    const reply = (await this.#call("EVAL", WRITE, keys.length, ...keys, ...args)) as string[];
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

  async #call(command: string, ...args: readonly (string | number)[]): Promise<unknown> {
    const connection = this.#connection!;
    if (connection.isEnded) throw new Error("the connection to Redis has ended");
    const bytes = args.reduce<number>((sum, each) => sum + `${each}`.length, 0);
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
