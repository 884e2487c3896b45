/**
 * A call that waits for its answer. One wheel carries the deadlines of all calls; a call that was
 * answered before anybody waited costs no promise with a resolver and no place in the wheel.
 */
import { CatgaError, type Executed } from "../base/errors.ts";
import { CHAIN_LINKS_MAX } from "../base/limits.ts";
import { CopyError, copyPlain, type NotCopied } from "../base/plain.ts";
import { WheelEntry } from "../base/timer-wheel.ts";
import type { Dedup } from "../protocol/frame.ts";
import { entityKey } from "../protocol/ids.ts";
import type { TraceContext } from "../protocol/trace.ts";

/** A message as its sender hands it over. */
export interface Sending {
  readonly entity: string;
  readonly id: string;
  readonly type: string;
  readonly message: unknown;
  readonly oneWay: boolean;
  /** Milliseconds from now; without it what the message was declared with. */
  readonly timeoutMs: number | undefined;
  /**
   * No later than this of the clock, however long the timeout: the deadline of the sender's turn.
   */
  readonly boundMs: number;
  readonly signal: AbortSignal | undefined;
  readonly dedup: Dedup | undefined;
  /** Turns that wait for the call, the oldest first; see `turns.ts`. */
  readonly chain?: readonly string[] | undefined;
  /** The span that it belongs to. */
  readonly trace?: TraceContext | undefined;
}

/** The parts of a {@link Sending} that name it in errors. */
export type Subject = Pick<Sending, "entity" | "id" | "type">;

/** A subject as the details of errors have it. */
export function detailsOf({ entity, id, type }: Subject): { entity: string; message: string } {
  return { entity: entityKey(entity, id), message: type };
}

/** See the file's header. Settles once; what comes later is dropped. */
export class Call extends WheelEntry {
  readonly subject: Sending;
  /** A copy that belongs to whoever gets it. */
  readonly message: unknown;
  readonly oneWay: boolean;
  readonly dedup: Dedup | undefined;
  readonly chain: readonly string[] | undefined;
  readonly timeoutMs: number;
  /** When it ends at the latest. */
  deadlineMs: number;
  /** Whether the handler may have run by now: what a caller is told when the call fails. */
  executed: Executed = "no";
  /** True from the first outcome on. */
  isSettled = false;
  #value: unknown;
  #error: Error | undefined;
  #resolve: ((value: unknown) => void) | undefined;
  #reject: ((error: Error) => void) | undefined;
  #cleanUp: (() => void) | undefined;

  constructor(subject: Sending, message: unknown, timeoutMs: number) {
    super();
    this.subject = subject;
    this.message = message;
    this.oneWay = subject.oneWay;
    this.dedup = subject.dedup;
    this.chain = subject.chain;
    this.timeoutMs = timeoutMs;
    this.deadlineMs = subject.boundMs;
  }

  get trace(): TraceContext | undefined {
    return this.subject.trace;
  }

  /** Why it has failed, if it has. */
  get failure(): Error | undefined {
    return this.#error;
  }

  /** Answers the call. */
  succeed(value: unknown): void {
    if (this.isSettled) return;
    this.#value = value;
    this.#finish();
    this.#resolve?.(value);
  }

  /** Fails the call. */
  fail(error: Error): void {
    if (this.isSettled) return;
    this.#error = error;
    this.#finish();
    this.#reject?.(error);
  }

  /** Its deadline has passed. */
  override expire(): void {
    const { timeoutMs, executed } = this;
    const details = { ...detailsOf(this.subject), timeoutMs, executed };
    this.fail(new CatgaError("CALL_TIMEOUT", details));
  }

  /** Fails the call with CANCELLED when `signal` aborts. */
  cancelWith(signal: AbortSignal): void {
    const cancel = (): void => {
      const details = { ...detailsOf(this.subject), executed: this.executed };
      this.fail(new CatgaError("CANCELLED", details, { cause: signal.reason }));
      this.cancelled();
    };
    if (signal.aborted) return cancel();
    signal.addEventListener("abort", cancel, { once: true });
    this.#cleanUp = () => signal.removeEventListener("abort", cancel);
  }

  /** Whoever asked waits here; asked once, at the end of the sending call. */
  promise(): Promise<unknown> {
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.isSettled) return Promise.resolve(this.#value);
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Called when the call was cancelled. */
  protected cancelled(): void {}

  /** Called once, when the call has settled: takes it out of the tables it stands in. */
  protected settled(): void {}

  #finish(): void {
    this.isSettled = true;
    this.#cleanUp?.();
    this.settled();
  }
}

/** The error of a call that may have run, and whose answer will not come. */
export function outcomeUnknown({ subject }: Call, reason: string): CatgaError {
  return new CatgaError("OUTCOME_UNKNOWN", { ...detailsOf(subject), reason });
}

/** The error of a message that its entity does not know. */
export function unknownMessage({ entity, type }: Pick<Subject, "entity" | "type">): CatgaError {
  return new CatgaError("UNKNOWN_MESSAGE", { entity, message: type });
}

/** @throws {CatgaError} CHAIN_TOO_LONG */
export function checkChain(subject: Subject, { length }: readonly string[]): void {
  if (length <= CHAIN_LINKS_MAX) return;
  throw new CatgaError("CHAIN_TOO_LONG", { ...detailsOf(subject), limit: CHAIN_LINKS_MAX });
}

/** A copy of a payload. @throws {CatgaError} TOO_LARGE or PAYLOAD_NOT_ENCODABLE */
export function copyPayload(subject: Subject, payload: unknown): unknown {
  try {
    return copyPlain(payload);
  } catch (error) {
    const why = whyNot(error);
    if ("bytes" in why)
      throw new CatgaError("TOO_LARGE", { what: `message "${subject.type}"`, ...why });
    throw new CatgaError("PAYLOAD_NOT_ENCODABLE", { ...detailsOf(subject), ...why });
  }
}

/** Why a reply could not be copied: REPLY_TOO_LARGE or REPLY_NOT_ENCODABLE. */
export function replyError(subject: Subject, error: unknown): CatgaError {
  const [details, why] = [detailsOf(subject), whyNot(error)];
  if ("bytes" in why) return new CatgaError("REPLY_TOO_LARGE", { ...details, ...why });
  return new CatgaError("REPLY_NOT_ENCODABLE", { ...details, ...why });
}

/** A property that throws when it is read is user code's business too. */
function whyNot(error: unknown): NotCopied {
  if (error instanceof CopyError) return error.why;
  return { path: "$", found: `not readable: ${String(error)}` };
}
