/** The memory driver: nodes of one process, for tests and for programs that need no second one. */
import type { Driver } from "../../ports/driver.ts";
import { createMemoryAuthority } from "./authority.ts";
import { createMemoryNetwork } from "./link.ts";

/**
 * A network of its own: the nodes that are given this driver form one cluster, whatever their
 * cluster's name.
 */
export function memory(): Driver {
  const authority = createMemoryAuthority();
  const network = createMemoryNetwork();
  return {
    name: "memory",
    connect: async ({ clock }) => ({ authority: authority(clock), link: network(clock) }),
  };
}
