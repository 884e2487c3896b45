/** A call whose handler runs, or may run, on another node; and the table of all that are open. */
import { CatgaError, isErrorCode } from "../base/errors.ts";
import type { TimerWheel } from "../base/timer-wheel.ts";
import { decodeValue } from "../protocol/codec.ts";
import type { AnswerItem } from "../protocol/frame.ts";
import { Call, type CallSubject } from "./call.ts";

/** What a message needs to travel. */
export interface Posting {
  /** Entity and id as {@link encodeTarget} writes them. */
  readonly target: string;
  readonly body: string;
  readonly oneWay: boolean;
  readonly deadlineMs: number;
}

/** See the file's header. */
export class RemoteCall extends Call implements Posting {
  readonly target: string;
  readonly body: string;
  readonly oneWay: boolean;
  readonly deadlineMs: number;
  /** Its number in the table, which the answer names. */
  readonly number: number;
  /** The node whose mailbox has the message. */
  acceptedBy: string | undefined;
  readonly #calls: Calls;

  constructor(subject: CallSubject, posting: Posting, calls: Calls) {
    super(subject);
    this.target = posting.target;
    this.body = posting.body;
    this.oneWay = posting.oneWay;
    this.deadlineMs = posting.deadlineMs;
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

  /** Takes an answer in; one that nobody waits for is dropped. `false` when it makes no sense. */
  answered(item: AnswerItem): boolean {
    const call = this.#open.get(item.call);
    try {
      const value = decodeValue(item.body);
      if (item.kind === "reply") call?.succeed(value);
      else call?.fail(errorOf(value));
      return true;
    } catch {
      return false; // The stream's peer sent no JSON: its frame is malformed.
    }
  }

  /** The node `incarnation` is gone: what it had accepted may or may not have run. */
  lost(incarnation: string): void {
    for (const call of this.#open.values()) {
      if (call.acceptedBy !== incarnation) continue;
      const { entity, message } = call.subject;
      const reason = "the owner's node died";
      call.fail(new CatgaError("OUTCOME_UNKNOWN", { entity, message, reason }));
    }
  }

  /** Fails every open call: this node stops. */
  fail(error: (call: RemoteCall) => Error): void {
    for (const call of this.#open.values()) call.fail(error(call));
  }
}

/** Rebuilds an error from `{ code, details }`; what a newer version may send becomes a failure. */
function errorOf(value: unknown): CatgaError {
  const { code, details } = (value ?? {}) as { code?: unknown; details?: unknown };
  if (isErrorCode(code) && typeof details === "object" && details !== null) {
    return new CatgaError(code, details as never);
  }
  const text = `the owner answered with the unknown code ${JSON.stringify(code)}`;
  return new CatgaError("HANDLER_FAILED", { entity: "?", message: "?", name: "Error", text });
}
