/** The store that a text names; its driver is loaded when it is needed. */
import { loadOptional } from "../base/optional.ts";
import type { StoreDriver } from "../ports/store.ts";
import type { Order } from "./arguments.ts";

/**
 * The store of `order`.
 *
 * @throws {CatgaError} MISSING_PACKAGE
 * @throws {TypeError} for a store of no kind that is known
 */
export async function storeOf({ store, prefix }: Order): Promise<StoreDriver> {
  const more = prefix === undefined ? {} : { prefix };
  if (/^(?:nats|tls):\/\//.test(store)) {
    const packages = "@nats-io/transport-node @nats-io/jetstream";
    const { nats } = await loadOptional(packages, () => import("../drivers/nats/index.ts"));
    return nats({ servers: store, ...more });
  }
  if (/^rediss?:\/\//.test(store)) {
    const { redis } = await import("../drivers/redis/index.ts");
    return redis({ url: store, ...more });
  }
  // What it says of an address may be a password.
  if (store.includes("://"))
    throw new TypeError("Cannot use the store: there is none of that kind");
  const { sqlite } = await import("../drivers/sqlite/index.ts");
  return sqlite({ file: store });
}
