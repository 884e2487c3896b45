/** `catga/testing`: a whole cluster in one process, whose time and faults the test owns. */
export { TestCluster, type TestNodeOptions, type TestOptions } from "./test-cluster.ts";
export type { Backup } from "./driver.ts";
export type { StoredEntity, StoredRecord, StoreKey } from "../ports/store.ts";
export type { StoreNetwork } from "./store.ts";
export type { Traffic } from "./traffic.ts";
export type { ClockSkew, Network } from "./world.ts";
