/** A call whose handler runs, or may run, on another node; and the table of all that are open. */
import { CatgaError, isErrorCode } from "../base/errors.ts";
import { CALL_TIMEOUT_MS } from "../base/limits.ts";
import { charsMaxOfLastCopy } from "../base/plain.ts";
import type { TimerWheel } from "../base/timer-wheel.ts";
import { Call, detailsOf, type Sending } from "./call.ts";

/** See the file's header. */
export class RemoteCall extends Call {
  /** A copy that belongs to the call. */
  readonly message: unknown;
  /** An upper bound for its length as JSON. */
  readonly charsMax: number = charsMaxOfLastCopy();
  readonly oneWay: boolean;
  readonly deadlineMs: number;
  /** Its number in the table, which the answer names. */
  readonly number: number;
  /** The node whose mailbox has the message. */
  acceptedBy: string | undefined;
  readonly #calls: Calls;

  constructor(sending: Sending, message: unknown, calls: Calls) {
    super(sending, sending.timeoutMs ?? CALL_TIMEOUT_MS);
    this.message = message;
    this.oneWay = sending.oneWay;
    this.deadlineMs = Math.min(sending.boundMs, calls.nowMs + this.timeoutMs);
    this.#calls = calls;
    this.number = calls.add(this);
  }

  /** The owner's mailbox has the message. */
  accepted(incarnation: string): void {
    this.acceptedBy = incarnation;
    if (this.oneWay) this.succeed(undefined);
  }

  protected override settled(): void {
    this.#calls.remove(this);
  }
}

/** Calls that wait for an answer of another node. */
export class Calls {
  readonly #wheel: TimerWheel;
  readonly #open = new Map<number, RemoteCall>();
  #lastNumber = 0;

  constructor(wheel: TimerWheel) {
    this.#wheel = wheel;
  }

  /** The time of deadlines. */
  get nowMs(): number {
    return this.#wheel.nowMs;
  }

  /** Calls that are open. */
  get size(): number {
    return this.#open.size;
  }

  /** Registers `call` under a new number, with its deadline. */
  add(call: RemoteCall): number {
    const number = ++this.#lastNumber;
    this.#open.set(number, call);
    this.#wheel.add(call, call.deadlineMs);
    return number;
  }

  /** Forgets `call`. */
  remove(call: RemoteCall): void {
    this.#wheel.remove(call);
    this.#open.delete(call.number);
  }

  /** Takes an answer in; one that nobody waits for is dropped. */
  replied(number: number, value: unknown): void {
    this.#open.get(number)?.succeed(value);
  }

  /** Takes an error in, as `{ code, details }`; what a newer version may send becomes a failure. */
  failed(item: { readonly call: number; readonly code: string; readonly details: object }): void {
    const call = this.#open.get(item.call);
    if (call === undefined) return;
    if (isErrorCode(item.code)) return call.fail(new CatgaError(item.code, item.details as never));
    const text = `the owner answered with the unknown code "${item.code}"`;
    const details = { ...detailsOf(call.subject), name: "Error", text };
    call.fail(new CatgaError("HANDLER_FAILED", details));
  }

  /** The node `incarnation` is gone: what it had accepted may or may not have run. */
  lost(incarnation: string): void {
    for (const call of this.#open.values()) {
      if (call.acceptedBy !== incarnation) continue;
      call.fail(outcomeUnknown(call, "the owner's node died"));
    }
  }

  /** Fails every open call: this node stops. */
  fail(error: (call: RemoteCall) => Error): void {
    for (const call of this.#open.values()) call.fail(error(call));
  }
}

/** The error of a call that may have run, and whose answer will not come. */
export function outcomeUnknown({ subject }: RemoteCall, reason: string): CatgaError {
  return new CatgaError("OUTCOME_UNKNOWN", { ...detailsOf(subject), reason });
}
