/** A call whose handler runs, or may run, on another node; and the table of all that are open. */
import { CatgaError, isErrorCode } from "../base/errors.ts";
import { CALL_TIMEOUT_MS, TRACE_CHARS_MAX } from "../base/limits.ts";
import { charsMaxOfLastCopy } from "../base/plain.ts";
import type { TimerWheel } from "../base/timer-wheel.ts";
import type { MessageItem } from "../protocol/frame.ts";
import { Call, detailsOf, type Sending } from "./call.ts";
import type { MessageSpec } from "./definition.ts";
import type { Tracer, TracingSpan } from "./tracing.ts";

/** Where a call was sent. */
export interface Destination {
  /** Tells a handler there that nobody waits for it any more. */
  cancel(call: RemoteCall): void;
}

/** Where a numbered message belongs. */
export interface Lane {
  readonly group: string;
  readonly shard: number;
  /** Which of this node's channels to the shard. */
  readonly number: number;
  /** Messages at the head of the channel were accepted. */
  settle(): void;
}

/**
 * See the file's header. The call is its own place in the channel and in the frame that carries it:
 * one object for each message on its way.
 */
export class RemoteCall extends Call implements MessageItem {
  readonly entity: string;
  readonly id: string;
  /** An upper bound for its length as JSON. */
  readonly charsMax: number;
  readonly createdMs: number;
  /** Its number in the table, which the answer names. */
  readonly call: number;
  shard = 0;
  channel = 0;
  /** Its number in the channel, 0 before it has one. */
  sequence = 0;
  epoch = 0;
  leftMs = -1;
  frame = 0;
  /** Where it was sent last; nothing when that node is known not to have accepted it. */
  sentTo: Destination | undefined;
  /** True when an owner before that one may have accepted it. */
  isInDoubt = false;
  /** True when the message is in its entity's mailbox, and moves with it. */
  isAccepted = false;
  lane: Lane | undefined;
  /** Known when its shard has come to this node, and it is to run here. */
  spec!: MessageSpec;
  /** The span that ends with it. */
  link: TracingSpan | undefined;
  readonly #calls: Calls;

  constructor(sending: Sending, message: unknown, calls: Calls) {
    super(sending, message, sending.timeoutMs ?? CALL_TIMEOUT_MS);
    // In JSON a character of an id may be two.
    this.charsMax = charsMaxOfLastCopy() + 2 * (sending.chain?.join("  ").length ?? 0);
    if (sending.trace !== undefined) this.charsMax += TRACE_CHARS_MAX;
    this.entity = sending.entity;
    this.id = sending.id;
    this.createdMs = calls.nowMs;
    this.deadlineMs = Math.min(this.deadlineMs, this.createdMs + this.timeoutMs);
    this.#calls = calls;
    this.call = calls.add(this);
  }

  /** Since when it waits. */
  get sinceMs(): number {
    return this.createdMs;
  }

  /** Gives the message its number in a channel. */
  join(lane: Lane, sequence: number): void {
    this.lane = lane;
    this.isAccepted = false;
    this.isInDoubt = false;
    this.shard = lane.shard;
    this.channel = lane.number;
    this.sequence = sequence;
  }

  /** It goes to a handler of the node at the other end. */
  hasLeft(to: Destination, frame: number): void {
    this.sentTo = to;
    this.frame = frame;
    this.executed = "maybe";
    if (!this.oneWay) this.leftMs = Math.max(0, Math.ceil(this.deadlineMs - this.#calls.nowMs));
  }

  /** It has come home, and is about to run. */
  begin(): boolean {
    this.executed = "maybe";
    return !this.isSettled;
  }

  /** It had come home, and leaves again. */
  depart(): RemoteCall {
    return this;
  }

  /** The node at the other end has it in its mailbox. */
  accepted(by: object): void {
    if (this.sentTo !== by) return;
    this.isAccepted = true;
    if (this.oneWay) this.succeed(undefined);
    this.lane?.settle();
  }

  protected override cancelled(): void {
    // A turn of an entity goes on.
    if (this.lane === undefined && this.executed === "maybe") this.sentTo?.cancel(this);
  }

  protected override settled(): void {
    this.link?.end(this.failure);
    this.#calls.remove(this);
  }
}

const SLOTS_MIN = 256;

/**
 * Calls that wait for an answer of another node.
 *
 * They stand in slots, the slot of a call being the low bits of its number; a number whose slot is
 * taken is passed over. A Map of numbers that come and go in their order leaves V8 long chains of
 * dead tables.
 */
export class Calls {
  readonly #wheel: TimerWheel;
  readonly tracer: Tracer | undefined;
  #slots: (RemoteCall | undefined)[] = slots(SLOTS_MIN);
  #last = 0;
  /** Calls that are open. */
  size = 0;
  answered = 0;
  /** Calls that have failed, by code. */
  readonly failures: Map<string, number> = new Map();

  constructor(wheel: TimerWheel, tracer?: Tracer) {
    this.#wheel = wheel;
    this.tracer = tracer;
  }

  /** The time of deadlines. */
  get nowMs(): number {
    return this.#wheel.nowMs;
  }

  /** Registers `call` under a new number, with its deadline. */
  add(call: RemoteCall): number {
    if (++this.size * 2 > this.#slots.length) this.#grow();
    const mask = this.#slots.length - 1;
    do this.#last++;
    while (this.#slots[this.#last & mask] !== undefined);
    this.#slots[this.#last & mask] = call;
    this.#wheel.add(call, call.deadlineMs);
    return this.#last;
  }

  /** Forgets `call`. */
  remove(call: RemoteCall): void {
    this.#wheel.remove(call);
    this.#slots[call.call & (this.#slots.length - 1)] = undefined;
    this.size--;
    if (call.failure === undefined) return void this.answered++;
    const code = call.failure instanceof CatgaError ? call.failure.code : "UNKNOWN";
    this.failures.set(code, (this.failures.get(code) ?? 0) + 1);
  }

  /** Takes an answer in; one that nobody waits for is dropped. */
  replied(number: number, value: unknown): void {
    this.#get(number)?.succeed(value);
  }

  /** Takes an error in, as `{ code, details }`; what a newer version may send becomes a failure. */
  failed(item: { readonly call: number; readonly code: string; readonly details: object }): void {
    const call = this.#get(item.call);
    if (call === undefined) return;
    if (isErrorCode(item.code)) return call.fail(new CatgaError(item.code, item.details as never));
    const text = `the owner answered with the unknown code "${item.code}"`;
    const details = { ...detailsOf(call.subject), name: "Error", text };
    call.fail(new CatgaError("HANDLER_FAILED", details));
  }

  /** Fails every open call for which `error` finds one. */
  fail(error: (call: RemoteCall) => Error | undefined): void {
    for (const call of this.#slots) {
      const found = call && error(call);
      if (found !== undefined) call?.fail(found);
    }
  }

  /** Calls of different slots stay so when there are more of them. */
  #grow(): void {
    const before = this.#slots;
    this.#slots = slots(before.length * 2);
    const mask = this.#slots.length - 1;
    for (const call of before) if (call !== undefined) this.#slots[call.call & mask] = call;
  }

  #get(number: number): RemoteCall | undefined {
    const call = this.#slots[number & (this.#slots.length - 1)];
    return call?.call === number ? call : undefined;
  }
}

function slots(count: number): (RemoteCall | undefined)[] {
  return new Array<RemoteCall | undefined>(count).fill(undefined);
}
