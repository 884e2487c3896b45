/** Time that a test owns: it stands still until it is advanced. */
import type { Clock } from "../../src/base/clock.ts";

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** See the file's header. */
export class FakeClock implements Clock {
  #nowMs: number;
  #timers: Timer[] = [];
  #yielded: (() => void)[] = [];
  #order = 0;

  constructor(nowMs = 0) {
    this.#nowMs = nowMs;
  }

  /** Timers that are armed. */
  get timerCount(): number {
    return this.#timers.length;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  }

  yield(run: () => void): void {
    this.#yielded.push(run);
  }

  /** Runs what has yielded, also what yields meanwhile. */
  turn(): void {
    for (let run = this.#yielded.shift(); run !== undefined; run = this.#yielded.shift()) run();
  }

  /** Lets `ms` pass: every timer runs at its own moment, in their order. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    this.turn();
    for (let timer = this.#next(untilMs); timer !== undefined; timer = this.#next(untilMs)) {
      const due = timer;
      this.#timers = this.#timers.filter((each) => each !== due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.run();
      this.turn();
    }
    this.#nowMs = untilMs;
  }

  /** Lets `ms` pass in which the event loop is kept from every timer. */
  freeze(ms: number): void {
    this.#nowMs += ms;
  }

  #next(untilMs: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.atMs > untilMs) continue;
      if (next === undefined || timer.atMs < next.atMs) next = timer;
      else if (timer.atMs === next.atMs && timer.order < next.order) next = timer;
    }
    return next;
  }
}
