/**
 * Who listens to a topic, or to what happens in the cluster. Events come one after the other, each
 * when the function is done with the one before; behind a slow one the newest wait, and the oldest
 * are dropped.
 */
import Denque from "denque";
import { LISTENER_CAPACITY } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import { isThenable } from "../base/thenable.ts";

/** Runs for each event, and may return a promise. */
export type Listening = (event: object) => unknown;

/** What surrounds a listener. */
export interface Around {
  /** What it listens to. */
  readonly what: string;
  readonly type: string;
  readonly log: Logger;
  /** What stands in the place of what it misses; `last` is the last of that. @default nothing */
  readonly missed?: (last: object) => object;
  /** There may be something to do: calls {@link Listener.next} when it may run. */
  readonly ready: (listener: Listener) => void;
}

/** See the file's header. */
export class Listener {
  /** It returned a promise that has not settled. */
  isBusy = false;
  readonly #run: Listening;
  readonly #around: Around;
  readonly #waiting = new Denque<object>();
  #isRunning = false;
  #dropped = 0;

  constructor(run: Listening, around: Around) {
    this.#run = run;
    this.#around = around;
  }

  get waitingCount(): number {
    return this.#waiting.length;
  }

  /** True when it may be given what waits. */
  get isReady(): boolean {
    return !this.isBusy && !this.#isRunning && this.#waiting.length > 0;
  }

  /** Takes an event in. */
  post(event: object): void {
    if (this.#waiting.length === LISTENER_CAPACITY) this.#drop();
    this.#waiting.push(event);
    this.#around.ready(this);
  }

  /** Runs what waits, as far as it may run now. */
  resume(): void {
    this.#around.ready(this);
  }

  /** Nothing of what waits is wanted any more. */
  clear(): void {
    this.#waiting.clear();
  }

  /** Gives it the next event; it must be ready for that. */
  next(): void {
    const event = this.#waiting.shift()!;
    if (this.#dropped > 0 && this.#waiting.length === 0) this.#caughtUp();
    this.#isRunning = true;
    try {
      const result = this.#run(event);
      if (isThenable(result)) this.#wait(result);
    } catch (error) {
      this.#failed(error);
    }
    this.#isRunning = false;
  }

  #wait(result: PromiseLike<unknown>): void {
    this.isBusy = true;
    const end = (): void => {
      this.isBusy = false;
      this.resume();
    };
    // Resolved, so that a `then` of user code that throws is a rejection like any other.
    Promise.resolve(result).then(end, (error: unknown) => (this.#failed(error), end()));
  }

  #failed(error: unknown): void {
    const { log, type, what } = this.#around;
    log.error({ err: error, type }, `a listener to ${what} failed`);
  }

  #drop(): void {
    let last = this.#waiting.shift()!;
    const { log, type, what, missed } = this.#around;
    if (missed !== undefined) {
      last = this.#waiting.shift() ?? last;
      this.#waiting.unshift(missed(last));
    }
    if (this.#dropped++ > 0) return;
    log.warn({ type }, `a listener to ${what} is slow, it misses the oldest`);
  }

  #caughtUp(): void {
    const { log, type, what } = this.#around;
    log.warn({ type, dropped: this.#dropped }, `a listener has missed ${what}`);
    this.#dropped = 0;
  }
}
