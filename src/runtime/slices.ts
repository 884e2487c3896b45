/**
 * Slices of the event loop: turns may run one after the other for 10 ms, then timers and sockets go
 * first. Without it a flood of local messages is one long microtask loop, and the heartbeat that
 * keeps this node alive never leaves.
 */
import type { Clock } from "../base/clock.ts";
import { NESTED_TURNS_MAX, SLICE_MS } from "../base/limits.ts";

/** See the file's header. One for each node. */
export class Slices {
  readonly #clock: Clock;
  #waiting = new Set<{ resume(): void }>();
  #open = false;
  #endMs = 0;
  #depth = 0;
  /** Turns start before this only (L3): the end of the session lease. */
  leaseUntilMs: number = Number.POSITIVE_INFINITY;
  /** The same by the wall clock, looked at with every slice. */
  leaseUntilWallMs: number = Number.POSITIVE_INFINITY;
  /** Turns that were started. */
  turns = 0;
  #lagMs = 0;
  #pause: Promise<void> | undefined;
  #unpause: (() => void) | undefined;
  /** The last reading of the clock: the beginning of the turn that started last. */
  nowMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.nowMs = clock.nowMs();
  }

  /** Reads the clock for what follows on this stack. */
  read(): number {
    this.nowMs = this.#clock.nowMs();
    return this.nowMs;
  }

  /**
   * True when a turn may start now; it reads the clock, once for each turn. Every `true` is
   * followed by one {@link leave}, when the synchronous part of the turn has ended.
   */
  enter(): boolean {
    this.nowMs = this.#clock.nowMs();
    if (!this.#open) this.#begin();
    if (this.nowMs >= this.#endMs || this.#depth >= NESTED_TURNS_MAX) return false;
    if (this.nowMs >= this.leaseUntilMs) return false;
    this.#depth++;
    this.turns++;
    return true;
  }

  /**
   * True when what a turn did may be seen by others: read anew, for the turn may have been long.
   */
  mayRelease(): boolean {
    return this.read() < this.leaseUntilMs;
  }

  /** The synchronous part of a turn has ended. */
  leave(): void {
    this.#depth--;
  }

  /**
   * When this slice is over: a promise that resolves in the next one. Whoever is kept waiting by it
   * gives the loop back; else a loop of messages that are accepted at once would never end.
   */
  pause(): Promise<void> | undefined {
    if (!this.#open || this.nowMs < this.#endMs) return undefined;
    this.#pause ??= new Promise((resolve) => (this.#unpause = resolve));
    return this.#pause;
  }

  /** The same for work that is no turn, and takes its time of the slice all the same. */
  share(): Promise<void> | undefined {
    this.read();
    if (!this.#open) this.#begin();
    return this.pause();
  }

  /** Calls `waiting.resume()` in the next slice, once however often it was asked for. */
  later(waiting: { resume(): void }): void {
    this.#waiting.add(waiting);
    if (!this.#open && this.nowMs < this.leaseUntilMs) this.#begin();
  }

  /** The longest that the event loop was kept from other work since this was asked last. */
  takeLagMs(): number {
    const lagMs = this.#lagMs;
    this.#lagMs = 0;
    return lagMs;
  }

  /** The lease holds again: what waited may run. */
  resume(): void {
    if (!this.#open && this.#waiting.size > 0) this.#begin();
  }

  #begin(): void {
    this.#open = true;
    if (this.#clock.wallMs() >= this.leaseUntilWallMs) this.leaseUntilMs = Number.NEGATIVE_INFINITY;
    this.#endMs = this.nowMs + SLICE_MS;
    this.#clock.yield(() => this.#next());
  }

  #next(): void {
    this.#open = false;
    this.#unpause?.();
    this.#pause = this.#unpause = undefined;
    const waiting = this.#waiting;
    this.nowMs = this.#clock.nowMs();
    this.#lagMs = Math.max(this.#lagMs, this.nowMs - (this.#endMs - SLICE_MS));
    if (waiting.size === 0 || this.nowMs >= this.leaseUntilMs) return;
    this.#waiting = new Set();
    for (const each of waiting) each.resume();
  }
}
