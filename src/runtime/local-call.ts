/** Messages whose handler runs in this process: what they carry into a mailbox, what comes out. */
import { CatgaError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { TimerWheel } from "../base/timer-wheel.ts";
import type { Work } from "./activation.ts";
import { Call, type CallSubject } from "./call.ts";
import type { MessageSpec } from "./definition.ts";
import type { RemoteCall } from "./remote-call.ts";
import { copyReply } from "./reply.ts";

/** A message that may run here. */
export interface LocalMessage {
  readonly subject: CallSubject;
  readonly spec: MessageSpec;
  /** A copy that belongs to the handler. */
  readonly message: unknown;
  /** The deadline of the turn that sends it. */
  readonly boundMs: number;
}

/** A call within this process. */
export class LocalCall extends Call implements Work {
  readonly spec: MessageSpec;
  readonly message: unknown;
  deadlineMs: number;
  readonly #wheel: TimerWheel;
  #isTimed = false;

  constructor(local: LocalMessage, wheel: TimerWheel) {
    super(local.subject);
    this.spec = local.spec;
    this.message = local.message;
    this.deadlineMs = local.boundMs;
    this.#wheel = wheel;
  }

  begin(nowMs: number): boolean {
    if (this.isSettled) return false;
    this.executed = "maybe";
    if (!this.#isTimed) this.#setDeadline(nowMs);
    return true;
  }

  override succeed(value: unknown): void {
    if (this.isSettled) return;
    // Most replies are plain values that share nothing; only objects have to be copied.
    if (value === undefined || typeof value === "string" || typeof value === "boolean") {
      return super.succeed(value);
    }
    const { entity, message } = this.subject;
    const copied = copyReply(value, { entity, message });
    if (copied instanceof CatgaError) super.fail(copied);
    else super.succeed(copied.copy);
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
    this.deadlineMs = Math.min(this.deadlineMs, nowMs + this.subject.timeoutMs);
  }
}

/** A one-way message within this process: nobody hears how it ended, but the log. */
export class LocalTell implements Work {
  readonly spec: MessageSpec;
  readonly message: unknown;
  /** Its deadline is for the mailbox to take it; what was taken is run. */
  readonly deadlineMs = Number.POSITIVE_INFINITY;
  readonly #entity: string;
  readonly #log: Logger;

  constructor(local: LocalMessage, log: Logger) {
    this.spec = local.spec;
    this.message = local.message;
    this.#entity = local.subject.entity;
    this.#log = log;
  }

  begin(): boolean {
    return true;
  }

  succeed(): void {}

  fail(error: CatgaError): void {
    const fields = { entity: this.#entity, message: this.spec.type, error };
    this.#log.warn(fields, "a one-way message failed");
  }
}

/** A call that was meant for another node, and whose shard has come here before it left. */
export class HomeboundWork implements Work {
  readonly spec: MessageSpec;
  readonly message: unknown;
  readonly deadlineMs: number;
  readonly #call: RemoteCall;

  constructor(call: RemoteCall, spec: MessageSpec, message: unknown) {
    this.#call = call;
    this.spec = spec;
    this.message = message;
    this.deadlineMs = call.oneWay ? Number.POSITIVE_INFINITY : call.deadlineMs;
  }

  begin(): boolean {
    if (this.#call.isSettled && !this.#call.oneWay) return false;
    this.#call.executed = "maybe";
    return true;
  }

  succeed(value: unknown): void {
    const { entity, message } = this.#call.subject;
    const copied = copyReply(value, { entity, message });
    if (copied instanceof CatgaError) this.#call.fail(copied);
    else this.#call.succeed(copied.copy);
  }

  fail(error: CatgaError): void {
    this.#call.fail(error);
  }
}
