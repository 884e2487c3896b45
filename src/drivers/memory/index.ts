/** The memory driver: nodes of one process, for tests and for programs that need no second one. */
import type { Driver } from "../../ports/driver.ts";
import { createMemoryAuthority } from "./authority.ts";
import { createMemoryNetwork } from "./link.ts";
import type { StoreDriver } from "../../ports/store.ts";
import { memoryStore } from "./store.ts";

/**
 * A network of its own: the nodes that are given this driver form one cluster, whatever their
 * cluster's name. It is a store as well.
 */
export function memory(): Driver & StoreDriver {
  const authority = createMemoryAuthority();
  const network = createMemoryNetwork();
  return {
    ...memoryStore(),
    connect: async ({ clock }) => ({ authority: authority(clock), link: network(clock) }),
  };
}
