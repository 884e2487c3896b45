/** What a store has of an entity, for those who want to look: decoded, and nobody is woken. */
import { CatgaError } from "../base/errors.ts";
import type { Store, StoreKey } from "../ports/store.ts";
import { entityKey } from "../protocol/ids.ts";
import type { EntityDefinition } from "./definition.ts";
import type { NodeContext } from "./node-context.ts";
import { decodeRecord } from "./record.ts";

/** What is stored of an entity. */
export interface Stored {
  /** Of the record: higher with every write. */
  readonly recordVersion: number;
  /** The highest `ctx.fence` that has written it. */
  readonly fence: string;
  /** Of the state's shape, as its `defineEntity` said. */
  readonly version: number;
  readonly state: unknown;
  readonly reminders: readonly StoredReminder[];
  /** How many answers to commands with a key are kept, or were when it was written. */
  readonly answers: number;
  /** Of the whole record, in UTF-8. */
  readonly bytes: number;
}

/** A reminder that waits for its time. */
export interface StoredReminder {
  readonly name: string;
  readonly due: Date;
  /** `undefined` for one that comes once. */
  readonly everyMs: number | undefined;
  readonly message: unknown;
}

/** What `store` has of an entity. @throws {CatgaError} STATE_CORRUPT, STORE_UNAVAILABLE */
export async function readStored(store: Store, key: StoreKey): Promise<Stored | undefined> {
  const { version: recordVersion, fence = "", data } = (await store.load(key)) ?? {};
  if (recordVersion === undefined || data === undefined) return undefined;
  const kept = decodeRecord(data, entityKey(key.entity, key.id), 0);
  const reminders = kept.reminders.map(({ name, dueMs, everyMs, message }) => {
    return { name, due: new Date(dueMs), everyMs: everyMs || undefined, message };
  });
  const { length: bytes } = new TextEncoder().encode(data);
  const { version, state, answers } = kept;
  return { recordVersion, fence, version, state, reminders, answers: answers.length, bytes };
}

/** The same of the store of a node; `given` is the entity's definition, if the caller has it. */
export async function storedAt(
  context: NodeContext,
  { entity, id }: Pick<StoreKey, "entity" | "id">,
  given?: EntityDefinition,
): Promise<Stored | undefined> {
  const shard = context.shardOf(entity, id);
  if (context.refusal !== undefined) throw context.refusal;
  const hosted = context.options.entities.find(({ name }) => name === entity);
  const isKept = (hosted ?? given)?.persistence !== "none";
  const store = isKept ? context.store?.store : undefined;
  if (store !== undefined) return readStored(store, { entity, id, shard });
  const reason = isKept ? "this node keeps no entities" : "its persistence is none";
  throw new CatgaError("NOT_STORED", { entity: entityKey(entity, id), reason });
}
