/**
 * An entity type as the runtime runs it: its messages with their handlers, its limits, its hooks.
 */

import type { CatgaError } from "../base/errors.ts";
import type { Row } from "../protocol/note.ts";
import type { Dedup } from "../protocol/frame.ts";
import type { Calls, RemoteCall } from "./remote-call.ts";

/** Whether a message may change the state. */
export type MessageKind = "command" | "query";

/** Why an activation ends. */
export type PassivationReason = "idle" | "moved" | "shutdown" | "error";

/** One message an entity understands. */
export interface MessageSpec {
  readonly type: string;
  readonly kind: MessageKind;
  /** The deadline of a call that brings none of its own. */
  readonly timeoutMs: number | undefined;
  /** Runs the handler, and around it the checks of its schemas; may return a promise. */
  readonly run: (context: object, message: unknown) => unknown;
}

/** An entity type with its code, checked and with all defaults filled in. */
export interface EntityDefinition {
  readonly name: string;
  readonly messages: ReadonlyMap<string, MessageSpec>;
  readonly idleMs: number;
  readonly mailboxCapacity: number;
  readonly state: (id: string) => unknown;
  readonly activated: ((context: object) => unknown) | undefined;
  readonly deactivated: ((context: object, reason: PassivationReason) => unknown) | undefined;
}

/**
 * Thrown by a message's `run` when a schema refuses: the error reaches the caller as it is, while
 * one that the handler threw is wrapped.
 */
export class Refused extends Error {
  readonly error: CatgaError;
  constructor(error: CatgaError) {
    super(error.message);
    this.name = "Refused";
    this.error = error;
  }
}

/**
 * A message on its way through a mailbox, whoever sent it. Exactly one of its ends is called:
 * `begin` that says no, `succeed`, or `fail`.
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
  /** The handler is about to run; `false` when nobody wants the answer any more. */
  begin(nowMs: number): boolean;
  /** `value` is a copy that belongs to the caller. */
  succeed(value: unknown): void;
  fail(error: CatgaError): void;
  /** The message as it travels with its entity, if its sender lives on another node. */
  row?(nowMs: number): Row;
  /** Sends the message anew, for one of this node: its entity goes elsewhere. */
  depart?(calls: Calls): RemoteCall | undefined;
}

/** What became of a message that was brought to a mailbox. */
export type Posted = "accepted" | "full";
