/**
 * How often each entity of one type takes a message: so many in a second, and so many at once. For
 * each id there is the time up to which it is used (the virtual scheduling algorithm of ITU-T
 * Recommendation I.371); of one that was not used lately, nothing.
 */

/** Messages for one entity. */
export interface Rate {
  readonly perSecond: number;
  /** After a rest so many are taken at once. */
  readonly burst: number;
}

const SWEPT_MIN = 1_024;

/** See the file's header. */
export class RateLimit {
  readonly #everyMs: number;
  readonly #aheadMs: number;
  readonly #usedUntilMs = new Map<string, number>();
  #sweptAt = SWEPT_MIN;

  constructor({ perSecond, burst }: Rate) {
    this.#everyMs = 1_000 / perSecond;
    // Half a message more than is meant: what was summed up is off by its rounding.
    this.#aheadMs = this.#everyMs * (burst - 0.5);
  }

  /** True when `id` may take one more message now. */
  take(id: string, nowMs: number): boolean {
    const usedUntilMs = Math.max(nowMs, this.#usedUntilMs.get(id) ?? nowMs);
    if (usedUntilMs - nowMs > this.#aheadMs) return false;
    this.#usedUntilMs.set(id, usedUntilMs + this.#everyMs);
    if (this.#usedUntilMs.size >= this.#sweptAt) this.#sweep(nowMs);
    return true;
  }

  #sweep(nowMs: number): void {
    for (const [id, untilMs] of this.#usedUntilMs) {
      if (untilMs <= nowMs) this.#usedUntilMs.delete(id);
    }
    this.#sweptAt = Math.max(SWEPT_MIN, 2 * this.#usedUntilMs.size);
  }
}
