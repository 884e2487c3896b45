/** Messages whose handler runs in this process: what they carry into a mailbox, what comes out. */
import type { CatgaError } from "../base/errors.ts";
import { CALL_TIMEOUT_MS } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { TimerWheel } from "../base/timer-wheel.ts";
import { Call, detailsOf, type Sending, type Subject } from "./call.ts";
import type { MessageSpec } from "./definition.ts";
import type { Work } from "./work.ts";

/** A call within this process. */
export class LocalCall extends Call implements Work {
  readonly oneWay = false;
  readonly spec: MessageSpec;
  /** A copy that belongs to the handler. */
  readonly message: unknown;
  deadlineMs: number;
  readonly #wheel: TimerWheel;
  #isTimed = false;

  constructor(sending: Sending, local: Pick<Work, "spec" | "message">, wheel: TimerWheel) {
    super(sending, sending.timeoutMs ?? local.spec.timeoutMs ?? CALL_TIMEOUT_MS);
    this.spec = local.spec;
    this.message = local.message;
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
  readonly oneWay = true;
  readonly spec: MessageSpec;
  readonly message: unknown;
  /** Its deadline is for the mailbox to take it; what was taken is run. */
  readonly deadlineMs = Number.POSITIVE_INFINITY;
  readonly #subject: Subject;
  readonly #log: Logger;

  constructor(subject: Subject, local: Pick<Work, "spec" | "message">, log: Logger) {
    this.spec = local.spec;
    this.message = local.message;
    this.#subject = subject;
    this.#log = log;
  }

  begin(): boolean {
    return true;
  }

  succeed(): void {}

  fail(error: CatgaError): void {
    this.#log.warn({ ...detailsOf(this.#subject), error }, "a one-way message failed");
  }
}
