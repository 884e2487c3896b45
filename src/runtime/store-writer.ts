/**
 * Writes of this node to its store: those of one burst leave together. A long burst leaves in
 * parts, so that the store is at work on one of them while the next is made.
 */
import type { Store, StoreResult, StoreWrite } from "../ports/store.ts";
import type { MessageSpec } from "./definition.ts";

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
  #pending: Pending[] = [];

  constructor(store: Store) {
    this.store = store;
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
    this.store.write(batch.map(({ write }) => write)).then(
      (results) => {
        for (const [i, { resolve }] of batch.entries()) resolve(results[i]!);
      },
      (error: Error) => this.#oneByOne(batch, error),
    );
  }

  /** One of them may be what the store stumbles over: the others shall not suffer for it. */
  #oneByOne(batch: readonly Pending[], error: Error): void {
    if (batch.length === 1) return batch[0]!.reject(error);
    for (const { write, resolve, reject } of batch) {
      this.store.write([write]).then(([result]) => resolve(result!), reject);
    }
  }
}
