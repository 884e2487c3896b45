/** Stores as their contract sees them. */
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { systemRandom } from "../../src/base/random.ts";
import type { Store, StoreContext, StoreDriver } from "../../src/ports/store.ts";
import { type Case, casesOf } from "../contracts/check.ts";
import type { StoreFixture } from "../contracts/kept.ts";
import { storeContract } from "../contracts/store.contract.ts";
import { uniqueName } from "./port.ts";

/** The contract over the stores of one driver; `clean` removes what they have kept. */
export function storeCases(
  name: string,
  make: () => Promise<StoreDriver>,
  clean: () => Promise<void> = async () => {},
): Case[] {
  return casesOf(`${name} store`, storeContract, () => storeFixture(make, clean));
}

/** The store of a new node of `cluster`. */
export function openStore(
  driver: StoreDriver,
  cluster: string,
  context: Partial<StoreContext> = {},
): Promise<Store> {
  const world = { clock: systemClock, random: systemRandom, log: silentLogger, unsafe() {} };
  return driver.open({ cluster, shardCount: 32, ...world, ...context });
}

async function storeFixture(
  make: () => Promise<StoreDriver>,
  clean: () => Promise<void>,
): Promise<StoreFixture> {
  const own = uniqueName("contract");
  const driver = await make();
  const all: Store[] = [];
  return {
    async open({ cluster = own, shardCount = 32, clock = systemClock } = {}) {
      const store = await openStore(driver, cluster, { shardCount, clock });
      all.push(store);
      return store;
    },
    async close() {
      for (const store of all) await store.close();
      await clean();
    },
  };
}
