/**
 * What is under way, in the order in which it began. Each thing is its own place in the list: to
 * come and to go costs a few pointers, and the oldest is found at once, however many there are.
 */

/** Something under way: whose it is, what, and since when. */
export interface Wait<S, W> {
  readonly subject: S;
  readonly work: W;
  readonly sinceMs: number;
  /** Managed by the list. */
  previous: Wait<S, W> | undefined;
  /** Managed by the list. */
  next: Wait<S, W> | undefined;
}

/** See the file's header. */
export class Waits<S, W> implements Iterable<Wait<S, W>> {
  count = 0;
  #first: Wait<S, W> | undefined;
  #last: Wait<S, W> | undefined;

  /** Something has begun, after all that is in the list. */
  begin(subject: S, work: W, sinceMs: number): Wait<S, W> {
    const wait: Wait<S, W> = { subject, work, sinceMs, previous: this.#last, next: undefined };
    if (this.#last === undefined) this.#first = wait;
    else this.#last.next = wait;
    this.#last = wait;
    this.count++;
    return wait;
  }

  /** It is over; called once. */
  end({ previous, next }: Wait<S, W>): void {
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    this.count--;
  }

  /** The oldest first. */
  *[Symbol.iterator](): Generator<Wait<S, W>, void> {
    for (let wait = this.#first; wait !== undefined; wait = wait.next) yield wait;
  }
}
