/** Messages of this process to an entity of this process. */
import type { Logger } from "../base/logger.ts";
import { CALL_TIMEOUT_MS } from "../base/limits.ts";
import type { TimerWheel } from "../base/timer-wheel.ts";
import { Call, copyPayload, detailsOf, type Sending } from "./call.ts";
import type { CatgaError } from "../base/errors.ts";
import type { MessageSpec } from "./definition.ts";
import { type Calls, RemoteCall } from "./remote-call.ts";
import { Work } from "./work.ts";

/** A message for a mailbox of this node: a copy that belongs to the handler. */
type Local = Pick<Work, "spec" | "message">;

/** A call within this process. */
export class LocalCall extends Call implements Work {
  readonly spec: MessageSpec;
  readonly #wheel: TimerWheel;
  #isTimed = false;

  constructor(sending: Sending, { spec, message }: Local, wheel: TimerWheel) {
    super(sending, message, sending.timeoutMs ?? spec.timeoutMs ?? CALL_TIMEOUT_MS);
    this.spec = spec;
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
export class LocalTell extends Work {
  readonly #sending: Sending;
  readonly #log: Logger;

  constructor(sending: Sending, { spec, message }: Local, log: Logger) {
    // A deadline is for the mailbox to take the message; what was taken is run.
    const deadlineMs = Number.POSITIVE_INFINITY;
    super({ spec, message, oneWay: true, deadlineMs, dedup: sending.dedup });
    this.#sending = sending;
    this.#log = log;
  }

  override begin(): boolean {
    return true;
  }

  override succeed(): void {}

  override fail(error: CatgaError): void {
    this.#log.warn({ ...detailsOf(this.#sending), error }, "a one-way message failed");
  }

  override depart(calls: Calls): RemoteCall {
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
