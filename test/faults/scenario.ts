/** What a scenario of the fault tests is, and what its verdict rests on. */
import type { DriverName, Persistence } from "./broker.ts";
import type { Rig } from "./rig.ts";
import type { Expected } from "./verdict.ts";

/** A cluster of its own, under load, to which something is done. */
export interface Scenario extends Expected {
  readonly name: string;
  readonly heartbeat: "fast" | "normal";
  /** How many nodes are there when the load begins. */
  readonly nodes: number;
  /** Does it; resolves when the cluster should be whole again, which is then waited for. */
  readonly run: (rig: Rig) => Promise<void>;
  /** @default all of them */
  readonly drivers?: readonly DriverName[];
  /** What the broker keeps when it dies, if it can be told. @default "appendonly" */
  readonly persistence?: Persistence;
  /** True when every node goes to the broker by a proxy. */
  readonly isProxied?: boolean;
}

/** The lease of a node with heartbeat `fast`. */
export const LEASE_MS = 800;

/** The drivers that have a broker. */
export const BROKERS: readonly DriverName[] = ["nats", "redis"];
