/**
 * The most frequent keys of a stream, at constant memory.
 *
 * Space-Saving (Metwally, Agrawal and El Abbadi, "Efficient Computation of Frequent and Top-k
 * Elements in Data Streams", 2005): a key without a counter takes over the smallest one with what
 * it had counted, so no count is too low, and none is too high by more than all of them divided by
 * the counters. Counters fade together, which changes neither their order nor that bound: so the
 * sketch speaks of now.
 */

/** A key, and how often it was there. */
export interface TopKey {
  readonly key: string;
  /** Never below the truth, and above it by `error` at most. */
  readonly count: number;
  readonly error: number;
}

interface Counter {
  key: string;
  count: number;
  error: number;
  /** Its place in the heap. */
  at: number;
}

/** Below this nothing is left of what was counted. */
const FADED = 0.5;

/** See the file's header. Memory grows with the keys up to `capacity` counters. */
export class TopKeys {
  readonly #capacity: number;
  readonly #counters = new Map<string, Counter>();
  /** The smallest counter first: each is at most as large as the two below it. */
  #heap: Counter[] = [];
  #total = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** All that was counted, faded like the counters. */
  get total(): number {
    return this.#total;
  }

  /** Counts `key`; O(log capacity). */
  add(key: string, weight = 1): void {
    this.#total += weight;
    let counter = this.#counters.get(key);
    if (counter === undefined) {
      counter = this.#heap.length < this.#capacity ? this.#grow(key) : this.#takeOver(key);
      this.#counters.set(key, counter);
    }
    counter.count += weight;
    this.#sink(counter);
  }

  /** The keys that were counted `countMin` times at least, the most frequent first. */
  top(countMin: number): TopKey[] {
    const found = this.#heap.filter(({ count }) => count >= countMin);
    return found
      .sort((a, b) => b.count - a.count)
      .map(({ key, count, error }) => ({ key, count, error }));
  }

  /** Multiplies every count by `factor`, from 0 to 1; O(capacity). */
  fade(factor: number): void {
    this.#total *= factor;
    for (const counter of this.#heap) {
      counter.count *= factor;
      counter.error *= factor;
    }
    if (this.#total >= FADED) return;
    this.#total = 0;
    this.#heap = [];
    this.#counters.clear();
  }

  /** A counter of its own, which as the smallest one rises to the top of the heap. */
  #grow(key: string): Counter {
    const counter = { key, count: 0, error: 0, at: this.#heap.length };
    this.#heap.push(counter);
    while (counter.at > 0) this.#swap(counter, this.#heap[(counter.at - 1) >>> 1]!);
    return counter;
  }

  #takeOver(key: string): Counter {
    const smallest = this.#heap[0]!;
    this.#counters.delete(smallest.key);
    smallest.key = key;
    smallest.error = smallest.count;
    return smallest;
  }

  #sink(counter: Counter): void {
    for (;;) {
      const left = this.#heap[2 * counter.at + 1];
      const right = this.#heap[2 * counter.at + 2];
      const child = right !== undefined && right.count < left!.count ? right : left;
      if (child === undefined || child.count >= counter.count) return;
      this.#swap(counter, child);
    }
  }

  #swap(a: Counter, b: Counter): void {
    const { at } = a;
    this.#heap[(a.at = b.at)] = a;
    this.#heap[(b.at = at)] = b;
  }
}
