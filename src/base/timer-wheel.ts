/**
 * Deadlines in bulk: one timer of the platform serves any number of entries.
 *
 * A hashed timing wheel (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987): an
 * entry hangs in the bucket of its tick, so adding and removing cost two pointers. An entry more
 * than one turn of the wheel away stays in its bucket until its round comes. An entry never expires
 * early, and at most one tick late when the event loop is free.
 */
import type { Clock } from "./clock.ts";

const BUCKETS = 512;

/** What hangs in a wheel; extend it, so that a deadline costs no object of its own. */
export abstract class WheelEntry {
  /** Managed by the wheel. */
  wheelPrevious: WheelEntry | undefined = undefined;
  /** Managed by the wheel. */
  wheelNext: WheelEntry | undefined = undefined;
  /** Managed by the wheel: the tick this entry is due at, -1 outside. */
  wheelTick = -1;

  /** Called once, when the deadline has passed; the entry is out of the wheel by then. */
  abstract expire(): void;
}

/** See the file's header. */
export class TimerWheel {
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #buckets = new Array<WheelEntry | undefined>(BUCKETS).fill(undefined);
  #size = 0;
  #lastTick: number;
  #armedTick = Number.POSITIVE_INFINITY;
  #disarm: () => void = () => {};

  constructor(clock: Clock, tickMs: number) {
    this.#clock = clock;
    this.#tickMs = tickMs;
    this.#lastTick = Math.floor(clock.nowMs() / tickMs);
  }

  /** The time its entries are measured by. */
  get nowMs(): number {
    return this.#clock.nowMs();
  }

  /** Entries inside. */
  get size(): number {
    return this.#size;
  }

  /** Hangs `entry` in, to expire at `deadlineMs` of the clock. It must be outside. */
  add(entry: WheelEntry, deadlineMs: number): void {
    if (this.#size === 0) this.#lastTick = Math.floor(this.#clock.nowMs() / this.#tickMs);
    const tick = Math.max(Math.ceil(deadlineMs / this.#tickMs), this.#lastTick + 1);
    const bucket = tick & (BUCKETS - 1);
    const first = this.#buckets[bucket];
    entry.wheelTick = tick;
    entry.wheelNext = first;
    entry.wheelPrevious = undefined;
    if (first !== undefined) first.wheelPrevious = entry;
    this.#buckets[bucket] = entry;
    this.#size++;
    if (tick < this.#armedTick) this.#arm(tick);
  }

  /** Takes `entry` out; one that is outside is left alone. */
  remove(entry: WheelEntry): void {
    if (entry.wheelTick === -1) return;
    const { wheelPrevious: previous, wheelNext: next } = entry;
    if (previous === undefined) this.#buckets[entry.wheelTick & (BUCKETS - 1)] = next;
    else previous.wheelNext = next;
    if (next !== undefined) next.wheelPrevious = previous;
    entry.wheelPrevious = entry.wheelNext = undefined;
    entry.wheelTick = -1;
    this.#size--;
  }

  /** Disarms the platform's timer; entries stay and never expire. They are what is returned. */
  stop(): WheelEntry[] {
    this.#disarm();
    this.#armedTick = Number.NEGATIVE_INFINITY;
    const entries: WheelEntry[] = [];
    for (let entry of this.#buckets) {
      for (; entry !== undefined; entry = entry.wheelNext) entries.push(entry);
    }
    return entries;
  }

  #arm(tick: number): void {
    this.#disarm();
    this.#armedTick = tick;
    const delayMs = Math.max(0, tick * this.#tickMs - this.#clock.nowMs());
    this.#disarm = this.#clock.after(Math.min(delayMs, 2 ** 30), () => this.#sweep());
  }

  #sweep(): void {
    this.#armedTick = Number.POSITIVE_INFINITY;
    const nowTick = Math.floor(this.#clock.nowMs() / this.#tickMs);
    const from = Math.max(this.#lastTick + 1, nowTick - BUCKETS + 1);
    this.#lastTick = Math.max(this.#lastTick, nowTick);
    for (let tick = from; tick <= nowTick; tick++) this.#expireBucket(tick, nowTick);
    if (this.#size > 0) this.#armNext();
  }

  #expireBucket(tick: number, nowTick: number): void {
    const due: WheelEntry[] = [];
    let entry = this.#buckets[tick & (BUCKETS - 1)];
    for (; entry !== undefined; entry = entry.wheelNext) {
      if (entry.wheelTick <= nowTick) due.push(entry);
    }
    for (const expired of due) {
      // One that expired before it may have removed it, or hung it in anew.
      if (expired.wheelTick === -1 || expired.wheelTick > nowTick) continue;
      this.remove(expired);
      expired.expire();
    }
  }

  #armNext(): void {
    let tick = this.#lastTick + 1;
    const end = tick + BUCKETS;
    while (tick < end && this.#buckets[tick & (BUCKETS - 1)] === undefined) tick++;
    if (tick < this.#armedTick) this.#arm(tick);
  }
}
