/**
 * Writes of this node to the authority. What is written in one burst leaves in one round trip; an
 * answer that does not come is asked for with the same operation id until it does (O3), so a write
 * is never assumed to have failed.
 */
import type { Clock } from "../base/clock.ts";
import { AUTHORITY_TIMEOUT_MS } from "../base/limits.ts";
import type { Authority } from "../ports/authority.ts";
import type { CasResult, Change } from "../protocol/ledger.ts";

/** A change without its operation id, which the writer gives it. */
export type Write = Omit<Change, "operation">;

interface Pending {
  readonly change: Change;
  readonly done: (result: CasResult) => void;
}

/** See the file's header. */
export class RecordWriter {
  readonly #authority: Authority;
  readonly #clock: Clock;
  readonly #operationId: () => string;
  readonly #learn: (change: Change, result: CasResult) => void;
  #pending: Pending[] = [];
  #isClosed = false;

  constructor(
    authority: Authority,
    services: {
      readonly clock: Clock;
      readonly operationId: () => string;
      /** Hears every answer before the one who asked. */
      readonly learn: (change: Change, result: CasResult) => void;
    },
  ) {
    this.#authority = authority;
    this.#clock = services.clock;
    this.#operationId = services.operationId;
    this.#learn = services.learn;
  }

  /** Writes; `done` is called once, when the outcome is known. */
  write(write: Write, done: (result: CasResult) => void): void {
    const change = { ...write, operation: this.#operationId() };
    this.#pending.push({ change, done });
    if (this.#pending.length === 1) queueMicrotask(() => this.#flush());
  }

  /** {@link write} as a promise. */
  writeAsync(write: Write): Promise<CasResult> {
    return new Promise((resolve) => this.write(write, resolve));
  }

  /** Asks for nothing any more. */
  close(): void {
    this.#isClosed = true;
  }

  #flush(): void {
    const batch = this.#pending;
    this.#pending = [];
    this.#attempt(batch);
  }

  #attempt(batch: readonly Pending[]): void {
    if (this.#isClosed) return;
    this.#authority.casMany(batch.map(({ change }) => change)).then(
      (results) => this.#settle(batch, results),
      () => this.#clock.after(AUTHORITY_TIMEOUT_MS / 10, () => this.#attempt(batch)),
    );
  }

  #settle(batch: readonly Pending[], results: readonly CasResult[]): void {
    for (const [i, { change, done }] of batch.entries()) {
      const result = results[i]!;
      this.#learn(change, result);
      done(result);
    }
  }
}
