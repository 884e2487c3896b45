/**
 * A call that waits for its answer. One wheel carries the deadlines of all calls; a call that was
 * answered before anybody waited costs no promise with a resolver and no place in the wheel.
 */
import { CatgaError, type Executed } from "../base/errors.ts";
import { WheelEntry } from "../base/timer-wheel.ts";

type Outcome =
  | { readonly kind: "open" }
  | { readonly kind: "done"; readonly value: unknown }
  | { readonly kind: "failed"; readonly error: Error };

const OPEN: Outcome = { kind: "open" };

/** What is called, for error messages and deadlines. */
export interface CallSubject {
  /** The entity's key, `account/42`. */
  readonly entity: string;
  readonly message: string;
  readonly timeoutMs: number;
}

/** See the file's header. Settles once; what comes later is dropped. */
export class Call extends WheelEntry {
  readonly subject: CallSubject;
  /** Whether the handler may have run by now: what a caller is told when the call fails. */
  executed: Executed = "no";
  #outcome: Outcome = OPEN;
  #settle: ((outcome: Outcome) => void) | undefined;
  #cleanUp: (() => void) | undefined;

  constructor(subject: CallSubject) {
    super();
    this.subject = subject;
  }

  /** True from the first outcome on. */
  get isSettled(): boolean {
    return this.#outcome.kind !== "open";
  }

  /** Answers the call. */
  succeed(value: unknown): void {
    this.#finish({ kind: "done", value });
  }

  /** Fails the call. */
  fail(error: Error): void {
    this.#finish({ kind: "failed", error });
  }

  /** Its deadline has passed. */
  override expire(): void {
    this.fail(new CatgaError("CALL_TIMEOUT", { ...this.subject, executed: this.executed }));
  }

  /** Fails the call with CANCELLED when `signal` aborts. */
  cancelWith(signal: AbortSignal): void {
    const cancel = (): void => {
      const { entity, message } = this.subject;
      const details = { entity, message, executed: this.executed };
      this.fail(new CatgaError("CANCELLED", details, { cause: signal.reason }));
    };
    if (signal.aborted) return cancel();
    signal.addEventListener("abort", cancel, { once: true });
    this.#cleanUp = () => signal.removeEventListener("abort", cancel);
  }

  /** Whoever asked waits here; asked once, at the end of the sending call. */
  promise(): Promise<unknown> {
    const outcome = this.#outcome;
    if (outcome.kind === "done") return Promise.resolve(outcome.value);
    if (outcome.kind === "failed") return Promise.reject(outcome.error);
    return new Promise((resolve, reject) => {
      this.#settle = (late) => {
        if (late.kind === "done") resolve(late.value);
        else if (late.kind === "failed") reject(late.error);
      };
    });
  }

  /** Called once, when the call has settled: takes it out of the tables it stands in. */
  protected settled(): void {}

  #finish(outcome: Outcome): void {
    if (this.isSettled) return;
    this.#outcome = outcome;
    this.#cleanUp?.();
    this.settled();
    this.#settle?.(outcome);
  }
}
