/** A message on its way through a mailbox, whoever sent it. */
import type { CatgaError } from "../base/errors.ts";
import type { MessageSpec } from "./definition.ts";

/** Exactly one of its ends is called: `begin` that says no, `succeed`, or `fail`. */
export interface Work {
  readonly spec: MessageSpec;
  readonly message: unknown;
  /** True when nobody waits for an answer: then none is copied. */
  readonly oneWay: boolean;
  /** When nobody waits for the answer any more; calls of the turn end by then too. */
  readonly deadlineMs: number;
  /** The handler is about to run; `false` when nobody wants the answer any more. */
  begin(nowMs: number): boolean;
  /** `value` is a copy that belongs to the caller. */
  succeed(value: unknown): void;
  fail(error: CatgaError): void;
}

/** What became of a message that was brought to a mailbox. */
export type Posted = "accepted" | "full";
