/**
 * The store: what is kept of entities when no node has them in memory. A record is one text, which
 * the runtime makes and reads; the store sees that nobody overwrites what is newer.
 */
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";

/** Where an entity stands in a store. */
export interface StoreKey {
  /** The entity type, a legal name. */
  readonly entity: string;
  /** 1 to 256 bytes of UTF-8, any characters but control characters. */
  readonly id: string;
  /** The shard of the entity, from 0 to one less than the cluster's `shardCount`. */
  readonly shard: number;
}

/** What is kept of an entity. */
export interface StoredRecord {
  /** Whole, 1 at least, and higher with every write of this entity. */
  readonly version: number;
  /** The highest fence that has written: `ctx.fence`, text of fixed width that sorts. */
  readonly fence: string;
  /** `undefined` for an entity that was deleted: version and fence stay for `DELETED_MS`. */
  readonly data: string | undefined;
}

/**
 * Replaces the record of an entity, if that still has version `expected` and its fence is not above
 * `fence`; 0 means there is none, or there was one long ago. Without `data` the entity is deleted.
 */
export interface StoreWrite extends StoreKey {
  readonly expected: number;
  readonly fence: string;
  readonly data: string | undefined;
  /**
   * When its first reminder is due, in milliseconds since 1970; `undefined` without reminders, and
   * so without data.
   */
  readonly dueMs: number | undefined;
}

/** What became of a {@link StoreWrite}; a refusal carries what stands there instead. */
export type StoreResult =
  | { readonly ok: true; readonly version: number }
  | { readonly ok: false; readonly current: StoredRecord | undefined };

/** An entity whose first reminder is due at a time. */
export interface DueEntity {
  readonly id: string;
  readonly dueMs: number;
}

/** An entity as an export has it. */
export interface StoredEntity extends StoreKey, StoredRecord {
  readonly dueMs: number | undefined;
}

/** A part of everything that is kept; without `next` it was the last one. */
export interface StorePage {
  readonly found: readonly StoredEntity[];
  readonly next: string | undefined;
  /** On the first one: how many there are, deleted ones as well. */
  readonly total?: number;
}

/**
 * See the file's header. No method blocks the event loop while it waits for others. A rejection is
 * a {@link CatgaError}: STORE_UNAVAILABLE when the store is away, full, locked for too long or
 * cannot be read, STATE_CORRUPT when somebody else has written a record; of a write both mean
 * *unknown*.
 *
 * Of an entity that was deleted long ago nothing is left, a while after somebody has written or has
 * asked who is {@link Store.due}, which nodes do all the time. Its versions may begin anew then:
 * whoever remembers one of them has a fence that is lower, or asks for itself what stands there.
 */
export interface Store {
  /** A random text that this store, and no other, remembers since somebody first opened it. */
  readonly identity: string;
  /** `data` may have so many bytes of UTF-8. */
  readonly bytesMax: number;
  /**
   * What is kept of an entity, as new as the last write that anybody was told of.
   */
  load(key: StoreKey): Promise<StoredRecord | undefined>;
  /**
   * Independent compare-and-sets, each atomic on its entity, in as few steps as possible; order is
   * kept. They are durable when this resolves, as far as the store's settings promise it.
   */
  write(writes: readonly StoreWrite[]): Promise<StoreResult[]>;
  /**
   * Entities of one type and shard whose first reminder is due by `untilMs`, the earliest first, at
   * most `limit`. It may name some that have none any more; it leaves none out.
   */
  due(where: Omit<StoreKey, "id">, untilMs: number, limit: number): Promise<DueEntity[]>;
  /**
   * A part of all entities, from the beginning or after what `next` said; deleted ones as well.
   * While others write, what was there all the time is on one page at least, and may be on several:
   * the last one is the newest. A record that the store itself cannot read is data as it stands.
   */
  page(after?: string): Promise<StorePage>;
  /** Waits for what is under way and closes. Twice is fine. */
  close(): Promise<void>;
}

/** What a store is told about the node it serves. */
export interface StoreContext {
  readonly cluster: string;
  /**
   * The store remembers it: with another one no reminder would be found again. 0 asks for it:
   * SETTINGS_DIFFER says what it is, or STORE_UNAVAILABLE that there is none, and none is made.
   */
  readonly shardCount: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /**
   * To be told of whatever lets others read or forge what nodes say, or a broker forget what it has
   * acknowledged; more than once is fine.
   */
  readonly unsafe: (what: string) => void;
}

/** Makes the store of a node; holds nothing that two clusters in one process would share. */
export interface StoreDriver {
  readonly name: string;
  /**
   * Opens the store. Rejects with a {@link CatgaError} when it cannot be used: SETTINGS_DIFFER when
   * it was made with another `shardCount`, BROKER_… and RUNTIME_TOO_OLD as drivers do.
   */
  open(context: StoreContext): Promise<Store>;
}
