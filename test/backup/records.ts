/** Records in stores in memory, as nodes would have written them, and spies on those stores. */
import { memoryStore } from "../../src/drivers/memory/store.ts";
import type { Store, StoredEntity, StoreDriver, StoreWrite } from "../../src/ports/store.ts";
import { encodeRecord } from "../../src/runtime/record.ts";
import { loadStateCodec } from "../../src/runtime/packet.ts";
import { everything, fence, put, versionOf } from "../contracts/kept.ts";
import { openStore } from "../drivers/store-fixture.ts";

await loadStateCodec();

/** The cluster of these tests. */
export const NAME = "shop";

/** The text of a record. */
export function recordOf(state: unknown): string {
  return encodeRecord({ version: 1, state, answers: [], reminders: [] }, 0);
}

/** A write of an entity of type `cart`. */
export function cart(id: string, more: Partial<StoreWrite> = {}): StoreWrite {
  return put({ entity: "cart", id, shard: 1 }, { data: recordOf({ id }), ...more });
}

/** A store in memory that has what was written. */
export async function storeWith(...writes: readonly StoreWrite[]): Promise<StoreDriver> {
  const driver = memoryStore();
  await within(driver, async (store) => {
    for (const result of await store.write(writes)) versionOf(result);
  });
  return driver;
}

/** Opens the store of the cluster for a while. */
export async function within<T>(
  driver: StoreDriver,
  run: (store: Store) => Promise<T>,
): Promise<T> {
  const store = await openStore(driver, NAME, { shardCount: 32 });
  try {
    return await run(store);
  } finally {
    await store.close();
  }
}

/** What a store has, by id. */
export async function contentOf(driver: StoreDriver): Promise<Map<string, StoredEntity>> {
  const all = await within(driver, everything);
  return new Map(all.map((stored) => [stored.id, stored]));
}

/** A driver whose stores are like those of `inner`, but for what `change` says. */
export function changed(inner: StoreDriver, change: (store: Store) => Partial<Store>): StoreDriver {
  return {
    name: inner.name,
    async open(context) {
      const store = await inner.open(context);
      return { ...store, ...change(store) };
    },
  };
}

/** A fence of a real owner. */
export const OWNER: string = fence(5);
