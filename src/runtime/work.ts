/**
 * Messages on their way through a mailbox of this node, by whoever sent them: a caller of this
 * process who waits ({@link LocalCall}) or does not ({@link LocalTell}), another node
 * ({@link InboundWork}). Besides there are calls that have come home (`RemoteCall`), timers and
 * reminders (`luggage.ts`), and commands that run once for all who sent them (`KeyedWork`).
 */
import { CatgaError } from "../base/errors.ts";
import { CALL_TIMEOUT_MS, ERROR_TEXT_CHARS_MAX } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import { charsMaxOfLastCopy } from "../base/plain.ts";
import type { TimerWheel } from "../base/timer-wheel.ts";
import { type AskItem, type Dedup, extrasValue, type MessageItem } from "../protocol/frame.ts";
import type { Row } from "../protocol/note.ts";
import type { TraceContext } from "../protocol/trace.ts";
import { Call, copyPayload, detailsOf, type Sending } from "./call.ts";
import type { MessageSpec } from "./definition.ts";
import type { Peer } from "./peer.ts";
import { type Calls, RemoteCall } from "./remote-call.ts";

/** What the texts of an error may add to a batch at most, in escaped JSON. */
const FAILURE_CHARS_MAX = 6 * 2 * ERROR_TEXT_CHARS_MAX;

/** A message for a mailbox of this node: a copy that belongs to the handler. */
type Local = Pick<Work, "spec" | "message">;

/** What a turn pushes to those who watch its entity: a copy, and an upper bound of it as JSON. */
export interface Push {
  readonly message: object;
  readonly charsMax: number;
}

/** How a turn ended. */
export type Outcome = { readonly value: unknown } | { readonly error: CatgaError };

/**
 * A message in a mailbox. Exactly one of its ends is called: `begin` that says no, `succeed`, or
 * `fail`. No base class, because V8 takes several times as long to make an object of a derived one,
 * and one is made for each message.
 */
export interface Work {
  readonly spec: MessageSpec;
  readonly message: unknown;
  /** True when nobody waits for an answer: then none is copied. */
  readonly oneWay: boolean;
  /** When nobody waits for the answer any more; calls of the turn end by then too. */
  readonly deadlineMs: number;
  /** Of a command that is not to run twice. */
  readonly dedup: Dedup | undefined;
  /** Turns that wait for the answer, the oldest first. */
  readonly chain?: readonly string[] | undefined;
  /** What its turn has pushed. */
  pushes?: Push[];
  /** The span that it belongs to. */
  readonly trace?: TraceContext | undefined;
  /** The handler is about to run; `false` when nobody wants the answer any more. */
  begin(nowMs: number): boolean;
  /** `value` is a copy that belongs to the caller. */
  succeed(value: unknown): void;
  fail(error: CatgaError): void;
  /** Fails because it was not taken, which the sender of a one-way message is told as well. */
  refuse?(error: CatgaError): void;
  /** Remembers how it ended, before anybody is told. */
  keep?(outcome: Outcome): void;
  /** The message as it travels with its entity, if its sender lives on another node. */
  row?(nowMs: number): Row;
  /** Sends the message anew, for one of this node: its entity goes elsewhere. */
  depart?(calls: Calls): RemoteCall | undefined;
}

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
    const call = callAway({ ...this.subject, boundMs: this.deadlineMs }, this.message, calls);
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
  /** Why it was not taken, if that was found when it came. */
  refusal: CatgaError | undefined;
  readonly #sending: Sending;
  readonly #log: Logger;

  constructor(sending: Sending, local: Local, log: Logger) {
    this.spec = local.spec;
    this.message = local.message;
    this.dedup = sending.dedup;
    this.#sending = sending;
    this.#log = log;
  }

  get trace(): TraceContext | undefined {
    return this.#sending.trace;
  }

  begin(): boolean {
    return true;
  }

  succeed(): void {}

  fail(error: CatgaError): void {
    this.#log.warn({ ...detailsOf(this.#sending), err: error }, "a one-way message failed");
  }

  refuse(error: CatgaError): void {
    this.refusal = error;
  }

  depart(calls: Calls): RemoteCall {
    const call = callAway(this.#sending, this.message, calls);
    call.promise().catch((error: CatgaError) => this.fail(error));
    return call;
  }
}

type Item = AskItem & Pick<MessageItem, "entity" | "id" | "dedup">;
type Acceptance = { readonly spec: MessageSpec; readonly nowMs: number };

/** A message of another node. */
export class InboundWork implements Work {
  readonly spec: MessageSpec;
  readonly message: unknown;
  readonly oneWay: boolean;
  readonly deadlineMs: number;
  readonly dedup: Dedup | undefined;
  readonly chain: readonly string[] | undefined;
  readonly #peer: Peer;
  readonly #item: Item;
  #hasBegun = false;

  constructor(peer: Peer, item: Item, { spec, nowMs }: Acceptance) {
    this.spec = spec;
    this.message = item.message;
    this.oneWay = item.leftMs < 0;
    this.deadlineMs = this.oneWay ? Number.POSITIVE_INFINITY : nowMs + item.leftMs;
    this.dedup = item.dedup;
    this.chain = item.chain;
    this.#peer = peer;
    this.#item = item;
  }

  get trace(): TraceContext | undefined {
    return this.#item.trace;
  }

  begin(nowMs: number): boolean {
    this.#hasBegun = nowMs < this.deadlineMs;
    if (this.#hasBegun) return true;
    const { entity, id, leftMs: timeoutMs } = this.#item;
    const subject = { entity, id, type: this.spec.type };
    const details = { ...detailsOf(subject), timeoutMs, executed: "no" } as const;
    this.fail(new CatgaError("CALL_TIMEOUT", details));
    return false;
  }

  row(nowMs: number): Row {
    const leftMs = this.oneWay ? -1 : Math.max(0, this.deadlineMs - nowMs);
    const extras = extrasValue(this);
    return ["message", this.#peer.incarnation, this.#item.call, leftMs, this.message, extras];
  }

  succeed(value: unknown): void {
    if (this.oneWay) return;
    this.#peer.outbox(charsMaxOfLastCopy()).addReply(this.#item.call, value);
  }

  fail(error: CatgaError): void {
    // A one-way message is answered at the door only; how it ended the activation has logged.
    if (!this.oneWay || !this.#hasBegun) this.refuse(error);
  }

  refuse(error: CatgaError): void {
    answerFailure(this.#peer, this.#item.call, error);
  }
}

/** What a message says it is. */
export function typeOf(message: unknown): string {
  return String((message as { type?: unknown } | null)?.type);
}

/** Tells a caller of another node why there is no answer. */
export function answerFailure(peer: Peer, call: number, { code, details }: CatgaError): void {
  peer.outbox(FAILURE_CHARS_MAX).notes.push({ kind: "failure", call, code, details });
}

/** A call for an entity elsewhere. */
export function callAway(sending: Sending, message: unknown, calls: Calls): RemoteCall {
  // Also of what is a copy: the call has to know how long its message is.
  const copy = copyPayload(sending, message);
  const link = calls.tracer?.begin("link", sending);
  const call = new RemoteCall(link ? { ...sending, trace: link } : sending, copy, calls);
  call.link = link;
  if (sending.signal !== undefined) call.cancelWith(sending.signal);
  return call;
}
