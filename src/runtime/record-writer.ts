/**
 * Writes of this node to the authority. What is written in one burst leaves in one round trip; an
 * answer that does not come is asked for with the same operation id until it does (O3), so a write
 * is never assumed to have failed.
 */
import { AUTHORITY_TIMEOUT_MS } from "../base/limits.ts";
import type { Authority } from "../ports/authority.ts";
import type { CasResult, Change, Entry } from "../protocol/ledger.ts";
import type { NodeContext } from "./node-context.ts";

/** A change without its operation id, which the writer gives it. */
export type Write = Omit<Change, "operation">;

interface Pending {
  readonly change: Change;
  readonly done: ((result: CasResult) => void) | undefined;
}

/** See the file's header. */
export class RecordWriter {
  readonly #context: NodeContext;
  readonly #authority: Authority;
  readonly #learn: (entry: Entry) => void;
  readonly #pending: Pending[] = [];

  /** `learn` hears the outcome of every write before the one who asked. */
  constructor(context: NodeContext, authority: Authority, learn: (entry: Entry) => void) {
    this.#context = context;
    this.#authority = authority;
    this.#learn = learn;
  }

  /**
   * Writes; `done` is called once, when the outcome is known. Without it the write is tried once:
   * what it rests on may not hold any more when the authority answers again.
   */
  write(write: Write, done?: (result: CasResult) => void): void {
    const change = { ...write, operation: this.#context.nextOperation() };
    this.#pending.push({ change, done });
    if (this.#pending.length === 1) queueMicrotask(() => this.#attempt(this.#pending.splice(0)));
  }

  /** {@link write} as a promise. */
  writeAsync(write: Write): Promise<CasResult> {
    return new Promise((resolve) => this.write(write, resolve));
  }

  #attempt(batch: readonly Pending[]): void {
    if (this.#context.isClosed || batch.length === 0) return;
    this.#authority.casMany(batch.map(({ change }) => change)).then(
      (results) => this.#settle(batch, results),
      () => {
        const asked = batch.filter(({ done }) => done !== undefined);
        this.#context.after(AUTHORITY_TIMEOUT_MS / 10, () => this.#attempt(asked));
      },
    );
  }

  #settle(batch: readonly Pending[], results: readonly CasResult[]): void {
    for (const [i, { change, done }] of batch.entries()) {
      const result = results[i]!;
      if (result.ok) this.#learn({ ...change, revision: result.revision });
      else if (result.current !== undefined) this.#learn(result.current);
      done?.(result);
    }
  }
}
