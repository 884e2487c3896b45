/**
 * How an entity comes out of the store, before its first turn.
 *
 * Where the shard was claimed, or its authority is another one, whoever owned it before may still
 * have a write on its way: the record is stamped with the new fence, so that such a write is
 * refused (F2). What cannot be read is refused and left as it is.
 */
import { CatgaError, describeError } from "../base/errors.ts";
import { isThenable } from "../base/thenable.ts";
import type { StoreKey } from "../ports/store.ts";
import type { Resident } from "./owned-shard.ts";
import { firstMsOf, type KeptAnswer, type Reminder } from "./packet.ts";
import { decodeRecord } from "./record.ts";
import type { StoreWriter } from "./store-writer.ts";

/** An entity as it was loaded. */
export interface Loaded {
  readonly state: unknown;
  readonly answers: readonly KeptAnswer[];
  readonly reminders: readonly Reminder[];
  /** The version of its record, 0 when there is none. */
  readonly stored: number;
  /** True for the record of a deletion, which the store will forget. */
  readonly isGone: boolean;
}

/** What the wall clock is ahead of the one of deadlines. */
export function aheadMsOf({ host: { context } }: Resident): number {
  return context.clock.wallMs() - context.wheel.nowMs;
}

/** See the file's header. Rejects with a {@link CatgaError} only. */
export async function loadEntity(
  entity: Resident,
  writer: StoreWriter,
  key: StoreKey,
): Promise<Loaded> {
  const { shard } = entity;
  for (;;) {
    const record = await writer.load(key);
    const { version = 0, data } = record ?? {};
    const fence = shard.fence();
    if (record !== undefined && record.fence > fence) {
      throw new CatgaError("UNAVAILABLE", { reason: "a later owner has stored the entity" });
    }
    const kept = { ...decode(entity, data), isGone: data === undefined };
    const since = shard.fence(shard.cleanSince);
    const isClean = record === undefined ? shard.cleanSince === 1 : record.fence >= since;
    if (isClean) return { ...kept, stored: version };
    const stamp = { expected: version, fence, data, dueMs: firstMsOf(kept.reminders) };
    const result = await writer.write({ ...key, ...stamp });
    if (result.ok) return { ...kept, stored: result.version };
    // Somebody was faster: that write counts.
  }
}

function decode(entity: Resident, data: string | undefined): Omit<Loaded, "stored" | "isGone"> {
  const { host, id } = entity;
  const name = host.keyOf(id);
  const { version: ours, migrate, state } = host.definition;
  const old = data === undefined ? undefined : decodeRecord(data, name, aheadMsOf(entity));
  if (old !== undefined && old.version > ours) {
    throw new CatgaError("STATE_TOO_NEW", { entity: name, ours, theirs: old.version });
  }
  try {
    if (old === undefined) return { state: state(id), answers: [], reminders: [] };
    if (old.version === ours || migrate === undefined) return old;
    const migrated = migrate(old.state, old.version);
    if (isThenable(migrated)) throw new TypeError("migrate has returned a promise");
    return { ...old, state: migrated };
  } catch (error) {
    const details = { entity: name, ...describeError(error) };
    throw new CatgaError("ACTIVATION_FAILED", details, { cause: error });
  }
}
