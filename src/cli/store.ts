/** The store that a text names; its driver is loaded when it is needed. */
import { existsSync } from "node:fs";
import { CatgaError } from "../base/errors.ts";
import { loadOptional } from "../base/optional.ts";
import type { StoreDriver } from "../ports/store.ts";
import type { Order } from "./arguments.ts";

/**
 * The store of `order`.
 *
 * @throws {CatgaError} MISSING_PACKAGE; STORE_UNAVAILABLE for a file that is not there to be read
 */
export async function storeOf({ store, prefix, command }: Order): Promise<StoreDriver> {
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
  if (command !== "import" && !existsSync(store)) {
    throw new CatgaError("STORE_UNAVAILABLE", { store, reason: "there is no such file" });
  }
  const { sqlite } = await import("../drivers/sqlite/index.ts");
  return sqlite({ file: store });
}
