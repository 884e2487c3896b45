/** A message on its way through a mailbox of this node, whoever sent it. */
import type { CatgaError } from "../base/errors.ts";
import type { Dedup } from "../protocol/frame.ts";
import type { Row } from "../protocol/note.ts";
import type { MessageSpec } from "./definition.ts";
import type { Calls, RemoteCall } from "./remote-call.ts";

/** What a mailbox looks at; a call that has a place in a wheel brings it by itself. */
export type Content = Pick<Work, "spec" | "message" | "oneWay" | "deadlineMs" | "dedup">;

/**
 * See the file's header. Exactly one of its ends is called: `begin` that says no, `succeed`, or
 * `fail`.
 */
export abstract class Work {
  readonly spec: MessageSpec;
  readonly message: unknown;
  /** True when nobody waits for an answer: then none is copied. */
  readonly oneWay: boolean;
  /** When nobody waits for the answer any more; calls of the turn end by then too. */
  readonly deadlineMs: number;
  /** Of a command that is not to run twice. */
  readonly dedup: Dedup | undefined;

  constructor({ spec, message, oneWay, deadlineMs, dedup }: Content) {
    this.spec = spec;
    this.message = message;
    this.oneWay = oneWay;
    this.deadlineMs = deadlineMs;
    this.dedup = dedup;
  }

  /** The handler is about to run; `false` when nobody wants the answer any more. */
  abstract begin(nowMs: number): boolean;
  /** `value` is a copy that belongs to the caller. */
  abstract succeed(value: unknown): void;
  abstract fail(error: CatgaError): void;
  /** The message as it travels with its entity, if its sender lives on another node. */
  row?(nowMs: number): Row;
  /** Sends the message anew, for one of this node: its entity goes elsewhere. */
  depart?(calls: Calls): RemoteCall | undefined;
}

/** What a message says it is. */
export function typeOf(message: unknown): string {
  return String((message as { type?: unknown } | null)?.type);
}
