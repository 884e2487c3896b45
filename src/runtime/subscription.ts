/**
 * Who listens to a topic on this node. Events come one after the other, each when the handler is
 * done with the one before; behind a slow handler the newest wait, and the oldest are dropped.
 */
import Denque from "denque";
import { SUBSCRIPTION_CAPACITY } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import { copyPlain } from "../base/plain.ts";
import { isThenable } from "../base/thenable.ts";
import type { Slices } from "./slices.ts";

/** Runs for each event, and may return a promise. */
export type Listener = (message: object) => unknown;

/** What surrounds a subscription. */
export interface Listening {
  readonly type: string;
  readonly log: Logger;
  /** Of the node that sits here now. */
  readonly slices: () => Slices;
}

/** See the file's header. */
export class Subscription {
  readonly #run: Listener;
  readonly #around: Listening;
  readonly #waiting = new Denque<object>();
  #isRunning = false;
  #dropped = 0;

  constructor(run: Listener, around: Listening) {
    this.#run = run;
    this.#around = around;
  }

  /** Takes an event in, which nobody changes any more. */
  post(message: object): void {
    if (this.#waiting.length === SUBSCRIPTION_CAPACITY) this.#drop();
    this.#waiting.push(message);
    if (!this.#isRunning) this.resume();
  }

  /** Runs what waits, as far as it may run now. */
  resume(): void {
    while (!this.#isRunning && this.#waiting.length > 0) {
      const slices = this.#around.slices();
      if (!slices.enter()) return slices.later(this);
      this.#start(this.#waiting.shift()!);
      slices.leave();
    }
    if (this.#waiting.length === 0 && this.#dropped > 0) this.#caughtUp();
  }

  /** Nothing of what waits is wanted any more. */
  clear(): void {
    this.#waiting.clear();
  }

  #start(message: object): void {
    this.#isRunning = true;
    try {
      // Each listener owns what it is given.
      const result = this.#run(copyPlain(message) as object);
      if (isThenable(result)) {
        const end = (): void => this.#end();
        // Resolved, so that a `then` of user code that throws is a rejection like any other.
        Promise.resolve(result).then(end, (error: unknown) => this.#end({ error }));
        return;
      }
    } catch (error) {
      this.#failed(error);
    }
    this.#isRunning = false;
  }

  #end(thrown?: { readonly error: unknown }): void {
    if (thrown !== undefined) this.#failed(thrown.error);
    this.#isRunning = false;
    this.resume();
  }

  #failed(error: unknown): void {
    const { log, type } = this.#around;
    log.error({ err: error, type }, "a listener to a topic failed");
  }

  #drop(): void {
    this.#waiting.shift();
    if (this.#dropped++ > 0) return;
    const { log, type } = this.#around;
    log.warn({ type }, "a listener to a topic is slow: its oldest events are dropped");
  }

  #caughtUp(): void {
    const { log, type } = this.#around;
    log.warn({ type, dropped: this.#dropped }, "a listener to a topic has caught up");
    this.#dropped = 0;
  }
}
