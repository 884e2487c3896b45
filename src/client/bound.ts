/** The end of a call: its deadline, or its caller's signal. */
import type { ClientClock } from "./clock.ts";
import { CatgaClientError } from "./error.ts";

/** What ends a call. */
export interface Ends {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** See the file's header. What waits for something waits no longer than that. */
export class Bound {
  /** Whether something was sent that may have run. */
  mayHaveRun = false;
  readonly #clock: ClientClock;
  readonly #untilMs: number;
  readonly #controller = new AbortController();
  readonly #over: Promise<never>;
  #end: (error: CatgaClientError) => void = () => {};
  readonly #ends: Ends;
  readonly #cancel: () => void;

  constructor(clock: ClientClock, ends: Ends) {
    const { timeoutMs, signal } = ends;
    this.#clock = clock;
    this.#ends = ends;
    this.#untilMs = clock.nowMs() + timeoutMs;
    this.#over = new Promise((_, reject) => (this.#end = reject));
    // Usually nobody waits for it when it comes.
    this.#over.catch(() => {});
    this.#cancel = clock.after(timeoutMs, () => {
      this.#abort("CALL_TIMEOUT", `no answer within ${timeoutMs} ms`);
    });
    signal?.addEventListener("abort", this.#cancelled);
    if (signal?.aborted === true) this.#cancelled();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get isOver(): boolean {
    return this.signal.aborted;
  }

  get leftMs(): number {
    return this.#untilMs - this.#clock.nowMs();
  }

  /** What `run` resolves with, unless this ends before. @throws CALL_TIMEOUT, CANCELLED */
  race<T>(run: Promise<T>): Promise<T> {
    return Promise.race([this.#over, run]);
  }

  /** Resolves after `waitMs`. @throws {CatgaClientError} CALL_TIMEOUT, CANCELLED */
  async pause(waitMs: number): Promise<void> {
    let cancel: (() => void) | undefined;
    const waited = new Promise<void>((resolve) => {
      cancel = this.#clock.after(waitMs, resolve);
    });
    await this.race(waited).finally(() => cancel?.());
  }

  /** Nothing ends any more; what is left is let go. */
  end(): void {
    this.#cancel();
    this.#ends.signal?.removeEventListener("abort", this.#cancelled);
  }

  readonly #cancelled = (): void => {
    this.#abort("CANCELLED", "the caller's signal aborted", this.#ends.signal?.reason);
  };

  #abort(code: "CALL_TIMEOUT" | "CANCELLED", why: string, cause?: unknown): void {
    const executed = this.mayHaveRun ? "maybe" : "no";
    const failure = { detail: `Cannot finish the call: ${why}`, executed, cause } as const;
    const error = new CatgaClientError(code, failure);
    // First, for `fetch` would say it in other words.
    this.#end(error);
    this.#controller.abort(error);
  }
}
