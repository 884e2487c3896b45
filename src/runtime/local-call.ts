/** Messages of this process to an entity of this process. */
import type { Logger } from "../base/logger.ts";
import { CALL_TIMEOUT_MS } from "../base/limits.ts";
import type { TimerWheel } from "../base/timer-wheel.ts";
import { Call, copyPayload, detailsOf, type Sending } from "./call.ts";
import type { CatgaError } from "../base/errors.ts";
import type { Dedup } from "../protocol/frame.ts";
import type { MessageSpec, Work } from "./definition.ts";
import { type Calls, RemoteCall } from "./remote-call.ts";

/** A message that is for a mailbox of this node. */
type Local = Pick<Work, "spec" | "message">;

/** A call within this process. */
export class LocalCall extends Call implements Work {
  readonly oneWay: boolean = false;
  readonly spec: MessageSpec;
  /** A copy that belongs to the handler. */
  readonly message: unknown;
  readonly dedup: Dedup | undefined;
  deadlineMs: number;
  readonly #wheel: TimerWheel;
  #isTimed = false;

  constructor(sending: Sending, local: Local, wheel: TimerWheel) {
    super(sending, sending.timeoutMs ?? local.spec.timeoutMs ?? CALL_TIMEOUT_MS);
    this.spec = local.spec;
    this.message = local.message;
    this.dedup = sending.dedup;
    this.deadlineMs = sending.boundMs;
    this.#wheel = wheel;
  }

  begin(nowMs: number): boolean {
    if (this.isSettled) return false;
    this.executed = "maybe";
    if (!this.#isTimed) this.#setDeadline(nowMs);
    return true;
  }

  /** The answer did not come at once: from now on the deadline counts. */
  wait(): void {
    if (this.isSettled) return;
    if (!this.#isTimed) this.#setDeadline(this.#wheel.nowMs);
    this.#wheel.add(this, this.deadlineMs);
  }

  /** Whoever waits here waits for the call that leaves; nothing leaves if nobody waits any more. */
  depart(calls: Calls): RemoteCall | undefined {
    if (this.isSettled) return undefined;
    const call = departing({ ...this.subject, boundMs: this.deadlineMs }, this.message, calls);
    this.succeed(call.promise());
    return call;
  }

  protected override settled(): void {
    this.#wheel.remove(this);
  }

  #setDeadline(nowMs: number): void {
    this.#isTimed = true;
    this.deadlineMs = Math.min(this.deadlineMs, nowMs + this.timeoutMs);
  }
}

/** A one-way message within this process: nobody hears how it ended, but the log. */
export class LocalTell implements Work {
  readonly oneWay: boolean = true;
  // A deadline is for the mailbox to take the message; what was taken is run.
  readonly deadlineMs: number = Number.POSITIVE_INFINITY;
  readonly spec: MessageSpec;
  readonly message: unknown;
  readonly dedup: Dedup | undefined;
  readonly #sending: Sending;
  readonly #log: Logger;

  constructor(sending: Sending, local: Local, log: Logger) {
    this.spec = local.spec;
    this.message = local.message;
    this.dedup = sending.dedup;
    this.#sending = sending;
    this.#log = log;
  }

  begin(): boolean {
    return true;
  }

  succeed(): void {}

  fail(error: CatgaError): void {
    this.#log.warn({ ...detailsOf(this.#sending), error }, "a one-way message failed");
  }

  depart(calls: Calls): RemoteCall {
    const call = departing(this.#sending, this.message, calls);
    call.promise().catch((error: CatgaError) => this.fail(error));
    return call;
  }
}

function departing(sending: Sending, message: unknown, calls: Calls): RemoteCall {
  // Copied once more: the call has to know how long its message is.
  const call = new RemoteCall(sending, copyPayload(sending, message), calls);
  if (sending.signal !== undefined) call.cancelWith(sending.signal);
  return call;
}
