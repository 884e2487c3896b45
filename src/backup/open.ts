/** Opens a store without a cluster, as a node would. */
import { storeDriverOf, type StateStore, shardCountOf } from "../api/options.ts";
import { systemClock } from "../base/clock.ts";
import { CatgaError, isCatgaError } from "../base/errors.ts";
import { hash } from "../base/hash.ts";
import { SHARD_COUNT } from "../base/limits.ts";
import { type Logger, silentLogger } from "../base/logger.ts";
import { systemRandom } from "../base/random.ts";
import type { Store, StoreKey } from "../ports/store.ts";
import { checkEntityId, checkName } from "../protocol/ids.ts";
import { loadStateCodec } from "../runtime/packet.ts";
import { readStored, type Stored } from "../runtime/stored.ts";

/** Which entities: those of one cluster in one store. */
export interface BackupPlace {
  /** `sqlite({ file })`, `nats({ … })`, `redis({ … })`. */
  readonly store: StateStore;
  /** The cluster's. @default "catga" */
  readonly name?: string;
  /**
   * @default what the store was made with; for one that is made now what an import says that it was
   * where it comes from, or 1024
   */
  readonly shardCount?: number;
  /** Is told what is not safe about the way to a broker. @default silence */
  readonly log?: Logger;
}

/** A store that is open, and where an entity lies in it. */
export interface OpenStore {
  readonly store: Store;
  readonly shardCount: number;
  readonly keyOf: (entity: string, id: string) => StoreKey;
}

type Opening = (shardCount: number) => Promise<OpenStore>;

/**
 * Opens the store of `place`, which must be there: looking makes none. Whoever asked closes it.
 *
 * @throws {CatgaError} as the store does; STORE_UNAVAILABLE when it keeps nothing of the cluster
 * @throws {TypeError | RangeError} for a place that makes no sense
 */
export async function openToRead(place: BackupPlace): Promise<OpenStore> {
  const open = await openingOf(place);
  return reopen(open, place, await failureOf(open(0)));
}

/** The same to write to: it is made with `usual` shards where there is none. */
export async function openToWrite(place: BackupPlace, usual: number): Promise<OpenStore> {
  const open = await openingOf(place);
  try {
    return await open(shardCountOf(place.shardCount ?? usual));
  } catch (error) {
    return reopen(open, place, error);
  }
}

/** Opens with what the store was made with, if that is what was wrong, and nobody insists. */
function reopen(open: Opening, { shardCount }: BackupPlace, error: unknown): Promise<OpenStore> {
  const isOther = isCatgaError(error, "SETTINGS_DIFFER") && error.details.setting === "shardCount";
  if (!isOther) throw error;
  const theirs = Number(error.details.theirs);
  if (shardCount === undefined || shardCount === theirs) return open(theirs);
  throw new CatgaError("SETTINGS_DIFFER", { ...error.details, ours: shardCount });
}

async function openingOf(place: BackupPlace): Promise<Opening> {
  const { name: cluster = "catga", shardCount = SHARD_COUNT, log = silentLogger } = place;
  checkName(cluster, "cluster name");
  shardCountOf(shardCount);
  const driver = storeDriverOf(place.store);
  await loadStateCodec();
  const world = { clock: systemClock, random: systemRandom, cluster };
  return async (shardCount) => {
    // Who only asks says nothing twice.
    const told = shardCount === 0 ? silentLogger : log;
    const unsafe = (what: string): void => told.warn({ store: driver.name }, what);
    const store = await driver.open({ ...world, shardCount, log: told, unsafe });
    const keyOf = (entity: string, id: string): StoreKey => {
      return { entity, id, shard: hash(id, hash(entity)) % shardCount };
    };
    return { store, shardCount, keyOf };
  };
}

function failureOf(opening: Promise<OpenStore>): Promise<unknown> {
  return opening.then(
    () => new Error("a store without shards was opened"),
    (error: unknown) => error,
  );
}

/**
 * What a store has of an entity, as `cluster.stored` says it; needs no cluster.
 *
 * @throws {CatgaError} STATE_CORRUPT, INVALID_ID, and as the store does
 */
export async function storedIn(
  place: BackupPlace,
  { entity, id }: { readonly entity: string; readonly id: string },
): Promise<Stored | undefined> {
  checkName(entity, "entity name");
  checkEntityId(id);
  const { store, keyOf } = await openToRead(place);
  try {
    return await readStored(store, keyOf(entity, id));
  } finally {
    await store.close();
  }
}
