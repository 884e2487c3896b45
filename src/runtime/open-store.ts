/** Opens the store of a node. */
import type { Ports } from "../ports/driver.ts";
import type { Store, StoreContext, StoreDriver } from "../ports/store.ts";
import type { EntityDefinition } from "./definition.ts";
import { loadStateCodec } from "./packet.ts";

/** What a store is opened with. */
interface StoreOptions extends Omit<StoreContext, "unsafe"> {
  readonly store: StoreDriver | undefined;
  readonly entities: readonly EntityDefinition[];
}

/** The store of a node that has something to keep. */
export async function openStore(
  options: StoreOptions,
  ports: Ports,
  unsafe: (what: string) => void,
): Promise<Store | undefined> {
  const kept = options.entities.find(({ persistence }) => persistence !== "none");
  if (kept === undefined) return undefined;
  await loadStateCodec();
  try {
    const store = (await options.store?.open({ ...options, unsafe })) ?? ports.store;
    if (store !== undefined) return store;
    throw new TypeError(`Cannot keep "${kept.name}": the transport has no store, name one`);
  } catch (error) {
    // Connections may be open already.
    await ports.link.close();
    await ports.authority.close();
    throw error;
  }
}
