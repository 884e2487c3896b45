/** What an entity has beside its state: it keeps it in memory, and goes with it to another node. */
import type { WheelEntry } from "../base/timer-wheel.ts";
import { DedupWindow } from "./dedup-window.ts";

/** A timer of an entity: when it is due, by this node's clock, and what it sends. */
export interface TimerRow {
  readonly dueMs: number;
  readonly message: unknown;
}

/** See the file's header. Most entities never have any. */
export class Luggage {
  readonly timers: Set<TimerRow & WheelEntry> = new Set();
  /** What commands with a key were answered. */
  readonly dedup: DedupWindow = new DedupWindow();

  /** True when the entity may leave memory for want of use. */
  isEmpty(nowMs: number): boolean {
    return this.timers.size === 0 && this.dedup.isEmpty(nowMs);
  }
}
