/** What this process takes of the machine's memory, once it has come to rest. */
import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";

/** See {@link settledMemory}. */
export interface Memory {
  readonly residentBytes: number;
  /** Heap in use and what hangs outside of it. */
  readonly heapBytes: number;
}

const WAIT_MS = 250;
const LOOKS_MIN = 4;
const LOOKS_MAX = 16;
const REST_PART = 0.005;

/**
 * Collects garbage and waits until what is resident changes by less than half a percent between two
 * looks, for one second at least and four at most.
 */
export async function settledMemory(): Promise<Memory> {
  let resident = Number.POSITIVE_INFINITY;
  for (let look = 1; look <= LOOKS_MAX; look++) {
    collectGarbage();
    await wait(WAIT_MS);
    const before = resident;
    resident = process.memoryUsage.rss();
    if (look >= LOOKS_MIN && Math.abs(before - resident) < REST_PART * before) break;
  }
  const { heapUsed, external } = process.memoryUsage();
  return { residentBytes: resident, heapBytes: heapUsed + external };
}

/** Collects all garbage now, where the runtime can be told to. */
function collectGarbage(): void {
  const { Bun, gc } = globalThis as { Bun?: { gc(force: boolean): void }; gc?: () => void };
  if (Bun !== undefined) Bun.gc(true);
  else gc?.();
}
