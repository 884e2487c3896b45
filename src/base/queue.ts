/**
 * First in, first out, in a ring of slots that doubles when it is full: constant time per item,
 * and no array is shifted. It has no bound of its own: who pushes asks `size` first.
 */
export class Queue<T> {
  #slots: (T | undefined)[] = new Array<T | undefined>(8);
  #head = 0;
  #size = 0;

  /** Items inside. */
  get size(): number {
    return this.#size;
  }

  /** Appends `item`. */
  push(item: T): void {
    if (this.#size === this.#slots.length) this.#grow();
    this.#slots[(this.#head + this.#size++) & (this.#slots.length - 1)] = item;
  }

  /** Takes the oldest item, or `undefined` from an empty queue. */
  shift(): T | undefined {
    if (this.#size === 0) return undefined;
    const item = this.#slots[this.#head];
    this.#slots[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#slots.length - 1);
    this.#size--;
    return item;
  }

  /** The item `index` places behind the oldest, without taking it. */
  at(index: number): T | undefined {
    if (index >= this.#size) return undefined;
    return this.#slots[(this.#head + index) & (this.#slots.length - 1)];
  }

  /** Takes everything, oldest first. */
  drain(): T[] {
    const items: T[] = [];
    for (let item = this.shift(); item !== undefined; item = this.shift()) items.push(item);
    return items;
  }

  #grow(): void {
    const { length } = this.#slots;
    const items = this.#slots.map((_, index) => this.at(index));
    this.#slots = items.concat(new Array<undefined>(length));
    this.#head = 0;
  }
}
