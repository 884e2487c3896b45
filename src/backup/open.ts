/** Opens a store without a cluster, as a node would. */
import { storeDriverOf, type StateStore, shardCountOf } from "../api/options.ts";
import { systemClock } from "../base/clock.ts";
import { isCatgaError } from "../base/errors.ts";
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

/**
 * Opens the store of `place`; whoever asked closes it. One that is made now has `usual` shards
 * where the place does not say.
 *
 * @throws {CatgaError} as the store does
 * @throws {TypeError | RangeError} for a place that makes no sense
 */
export async function openPlace(
  place: BackupPlace,
  usual: number = SHARD_COUNT,
): Promise<OpenStore> {
  const { name: cluster = "catga", shardCount: wanted = usual, log = silentLogger } = place;
  checkName(cluster, "cluster name");
  const driver = storeDriverOf(place.store);
  await loadStateCodec();
  const world = { clock: systemClock, random: systemRandom, log };
  const unsafe = (what: string): void => log.warn({ store: driver.name }, what);
  const open = async (shardCount: number): Promise<OpenStore> => {
    const store = await driver.open({ ...world, cluster, shardCount, unsafe });
    const keyOf = (entity: string, id: string): StoreKey => {
      return { entity, id, shard: hash(id, hash(entity)) % shardCount };
    };
    return { store, shardCount, keyOf };
  };
  try {
    return await open(shardCountOf(wanted));
  } catch (error) {
    const isOther =
      isCatgaError(error, "SETTINGS_DIFFER") && error.details.setting === "shardCount";
    if (!isOther || place.shardCount !== undefined) throw error;
    return open(shardCountOf(Number(error.details.theirs)));
  }
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
  const { store, keyOf } = await openPlace(place);
  try {
    return await readStored(store, keyOf(entity, id));
  } finally {
    await store.close();
  }
}
