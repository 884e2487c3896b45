/** What the processes of a test write, and the test looks for. */
import type { StoreKey } from "../../src/ports/store.ts";

/** Entities of which each process has one operation under way. */
export const COUNTERS = 8;
/** How often each process raises each counter. */
export const RAISES = 60;

/** A counter that all processes raise. */
export function counter(n: number): StoreKey {
  return { entity: "counter", id: `shared ${n}`, shard: n };
}

/** A record that one process alone writes. */
export function recordOf(name: string, n: number): StoreKey {
  return { entity: "record", id: `${name} ${n}`, shard: n };
}

/** What a record says in a version: some pages of the file or a part of one, told by its number. */
export function dataOf(name: string, version: number): string {
  return `${name} ${version} `.padEnd(100 + ((version * 997) % 9_000), "x");
}
