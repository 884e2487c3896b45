/**
 * How a store at a broker is asked. What fails because the broker is away is tried again for a
 * short while, with the same operations, and then given up: nothing waits for a broker to come back
 * in a queue that nobody sees.
 */
import { CatgaError, describeError, isCatgaError } from "../../base/errors.ts";
import type { Clock } from "../../base/clock.ts";

/** Who asks whom. */
export interface AskingParts {
  /** The store, for errors. */
  readonly store: string;
  readonly clock: Clock;
  /** False for an error that will be the same next time; one of catga always will. */
  readonly mayPass: (error: unknown) => boolean;
}

/** A broker that is started again is back in a tenth of it. */
const PATIENCE_MS = 3_000;
const RETRY_MS = 50;
const BYTES_PER_MS = 10_000;

/** See the file's header. */
export class Asking {
  readonly #parts: AskingParts;
  readonly #underWay = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(parts: AskingParts) {
    this.#parts = parts;
  }

  /** What `work` comes to, tried again as long as that may help. */
  ask<T>(work: () => Promise<T>): Promise<T> {
    return this.during(() => this.persist(work));
  }

  /** What `work` comes to, which is finished before all ends. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isClosed) throw this.unavailable(new Error("it is closed"));
    const asked = work();
    this.beside(asked);
    return asked;
  }

  /** Nobody waits for `work`, and nobody minds if it fails; it is finished before all ends. */
  beside(work: Promise<unknown>): void {
    this.#underWay.add(work);
    const done = (): void => void this.#underWay.delete(work);
    work.then(done, done);
  }

  /** Waits for what is under way; nothing is asked any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  /** The error for whoever asked. */
  unavailable(cause: unknown): CatgaError {
    const details = { store: this.#parts.store, reason: describeError(cause).text };
    return new CatgaError("STORE_UNAVAILABLE", details, { cause });
  }

  /** A part of what goes on {@link during} something, tried again as long as that may help. */
  async persist<T>(work: () => Promise<T>): Promise<T> {
    const { clock, mayPass } = this.#parts;
    const untilMs = clock.nowMs() + PATIENCE_MS;
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (isCatgaError(error)) throw error;
        if (!mayPass(error) || clock.nowMs() >= untilMs) throw this.unavailable(error);
      }
      await new Promise<void>((resolve) => void clock.after(RETRY_MS, resolve));
    }
  }
}

/**
 * So many questions at a time: what a broker is asked at once it answers one after the other, and
 * the last answer would be late. Who waits goes in order.
 */
export class Gate {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(questionsMax: number) {
    this.#free = questionsMax;
  }

  /** What `work` comes to, once there is room for it. */
  async pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => void this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}

/** What so many bytes take besides. */
export function transferMsOf(bytes: number): number {
  return bytes / BYTES_PER_MS;
}
