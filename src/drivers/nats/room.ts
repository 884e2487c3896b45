/**
 * Whether an account of the broker has room. Servers find out that an account is beyond its limit
 * when a message is stored and the one it replaces is gone, and then take away the new one as well
 * (seen with 2.9.10): the record would be lost. So nothing is written while the account is nearly
 * full. That is no promise: others of the account may fill it up within a moment.
 */
import type { JetStreamManager } from "@nats-io/jetstream";
import type { Clock } from "../../base/clock.ts";

/** Of a limit, what writes are given. */
const SHARE_MAX = 0.95;
/** How old an answer may be: the rest of the limit is there for what is written meanwhile. */
const AGE_MS_MAX = 100;
/** Whoever may not ask is not told why: it is tried again, for the broker may have been away. */
const UNANSWERED_MS = 10_000;

/** See the file's header. */
export class Room {
  readonly #manager: JetStreamManager;
  readonly #clock: Clock;
  /** Unknown until the first answer; where there is no limit nobody asks any more. */
  #isLimited: boolean | undefined;
  #askAtMs = Number.NEGATIVE_INFINITY;
  #isFull: Promise<boolean> = Promise.resolve(false);

  constructor(manager: JetStreamManager, clock: Clock) {
    this.#manager = manager;
    this.#clock = clock;
  }

  /** True when the account is nearly full. Whoever may not ask for it is not told. */
  isFull(): Promise<boolean> {
    const nowMs = this.#clock.nowMs();
    if (this.#isLimited !== false && nowMs >= this.#askAtMs) {
      this.#askAtMs = nowMs + AGE_MS_MAX;
      this.#isFull = this.#ask();
    }
    return this.#isFull;
  }

  async #ask(): Promise<boolean> {
    try {
      // An account may have a limit for each number of replicas.
      const { storage, limits, tiers } = await this.#manager.getAccountInfo();
      const all = [{ storage, limits }, ...Object.values(tiers ?? {})];
      const limited = all.flatMap((each) => (each && each.limits.max_storage > 0 ? [each] : []));
      this.#isLimited = limited.length > 0;
      return limited.some((each) => each.storage > each.limits.max_storage * SHARE_MAX);
    } catch {
      // A broker that is away fails the write, too.
      if (this.#isLimited === undefined) this.#askAtMs = this.#clock.nowMs() + UNANSWERED_MS;
      return false;
    }
  }
}
