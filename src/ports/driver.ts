/** A driver: one implementation of the ports, chosen by a URL or made by hand. */
import type { Authority } from "./authority.ts";
import type { Link } from "./link.ts";
import type { Store, StoreContext } from "./store.ts";

/** What a driver is told about the node it serves. */
export interface DriverContext extends StoreContext {
  readonly nodeId: string;
  readonly incarnation: string;
  readonly secret: string | undefined;
  /** The entity types of the node, sorted. */
  readonly entities: readonly string[];
  /** How long a session lives without a renewal. */
  readonly leaseMs: number;
}

/** The ports of one node, not opened yet. */
export interface Ports {
  readonly authority: Authority;
  readonly link: Link;
  /**
   * Where entities are kept unless another store is named. It is open; a node that keeps any closes
   * it.
   */
  readonly store?: Store;
  /** True where every shard has its node for good: nothing is claimed and nothing moves. */
  readonly isFixed?: boolean;
}

/** Makes the ports of a node; holds nothing that two clusters in one process would share. */
export interface Driver {
  readonly name: string;
  /** Rejects with a {@link CatgaError} when the cluster cannot be joined this way. */
  connect(context: DriverContext): Promise<Ports>;
}
