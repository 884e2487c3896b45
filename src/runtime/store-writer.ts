/**
 * Writes of this node to its store: those of one burst leave together. A long burst leaves in
 * parts, so that the store is at work on one of them while the next is made.
 */
import type { Store, StoredRecord, StoreKey, StoreResult, StoreWrite } from "../ports/store.ts";
import { entityKey } from "../protocol/ids.ts";
import type { Waits } from "../base/waits.ts";
import { StoreCounts } from "./counts.ts";
import type { MessageSpec } from "./definition.ts";
import type { Progress } from "./progress.ts";

interface Pending {
  readonly write: StoreWrite;
  readonly resolve: (result: StoreResult) => void;
  readonly reject: (error: Error) => void;
}

/** Enough to share the cost of a step, few enough that the store gets them early. */
const PART_WRITES = 64;

/** See the file's header. */
export class StoreWriter {
  readonly store: Store;
  /** How long the last turn of each message took. */
  readonly tookMs: Map<MessageSpec, number> = new Map();
  readonly counts: StoreCounts = new StoreCounts();
  readonly #progress: Progress;
  readonly #asked: Waits<string, undefined>;
  #pending: Pending[] = [];

  constructor(store: Store, progress: Progress) {
    this.store = store;
    this.#progress = progress;
    this.#asked = progress.list("store", ({ subject }) => `the store: ${subject} has not ended`);
  }

  /** See {@link Store.load}. */
  load(key: StoreKey): Promise<StoredRecord | undefined> {
    this.counts.reads++;
    return this.#ask(`a read of ${entityKey(key.entity, key.id)}`, this.store.load(key));
  }

  /** Rejects when the outcome is unknown. */
  write(write: StoreWrite): Promise<StoreResult> {
    return new Promise((resolve, reject) => {
      const count = this.#pending.push({ write, resolve, reject });
      if (count === 1) queueMicrotask(() => this.#flush());
      else if (count === PART_WRITES) this.#flush();
    });
  }

  #flush(): void {
    const batch = this.#pending;
    if (batch.length === 0) return;
    this.#pending = [];
    this.#write(batch.map(({ write }) => write)).then(
      (results) => {
        for (const [i, { resolve }] of batch.entries()) resolve(results[i]!);
      },
      (error: Error) => this.#oneByOne(batch, error),
    );
  }

  async #write(writes: readonly StoreWrite[]): Promise<StoreResult[]> {
    this.counts.writes += writes.length;
    const { entity, id } = writes[0]!;
    const what = `a write that begins with ${entityKey(entity, id)}`;
    const results = await this.#ask(what, this.store.write(writes));
    this.counts.conflicts += results.filter(({ ok }) => !ok).length;
    return results;
  }

  async #ask<T>(what: string, answer: Promise<T>): Promise<T> {
    const wait = this.#asked.begin(what, undefined, this.#progress.nowMs);
    try {
      return await answer;
    } catch (error) {
      this.counts.failed++;
      throw error;
    } finally {
      this.#asked.end(wait);
    }
  }

  /** One of them may be what the store stumbles over: the others shall not suffer for it. */
  #oneByOne(batch: readonly Pending[], error: Error): void {
    if (batch.length === 1) return batch[0]!.reject(error);
    for (const { write, resolve, reject } of batch) {
      this.#write([write]).then(([result]) => resolve(result!), reject);
    }
  }
}
