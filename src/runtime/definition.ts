/**
 * An entity type as the runtime runs it: its messages with their handlers, its limits, its hooks.
 */
import type { CatgaError } from "../base/errors.ts";
import { MessageCounts } from "./counts.ts";
import type { Rate } from "./rate-limit.ts";

/** Whether a message may change the state. */
export type MessageKind = "command" | "query";

/** Whether state outlives its node: not at all, a little later, or before anybody is answered. */
export type Persistence = "none" | "write-behind" | "write-through";

/** Why an activation ends. */
export type PassivationReason = "idle" | "moved" | "shutdown" | "error";

/** One message an entity understands. */
export interface MessageSpec {
  readonly type: string;
  /** What it is, if it has a name of its own, and others may watch that it happens. */
  readonly told?: "command" | "event" | undefined;
  readonly kind: MessageKind;
  /** The deadline of a call that brings none of its own. */
  readonly timeoutMs: number | undefined;
  /** Runs the handler, and around it the checks of its schemas; may return a promise. */
  readonly run: (context: object, message: unknown) => unknown;
  /** What became of it on one node. */
  readonly counts: MessageCounts;
}

/** An entity type with its code, checked and with all defaults filled in. */
export interface EntityDefinition {
  readonly name: string;
  readonly messages: ReadonlyMap<string, MessageSpec>;
  readonly idleMs: number;
  readonly mailboxCapacity: number;
  /** Whether calls that a turn waits for may run beside it. */
  readonly reentrant?: boolean | undefined;
  /** Of each entity. */
  readonly rateLimit?: Rate | undefined;
  /** For so long a node keeps answers to queries of a hot entity. */
  readonly hotCacheMs?: number | undefined;
  readonly state: (id: string) => unknown;
  readonly persistence: Persistence;
  /** How long answers to commands with a key are kept. @default DEDUP_MS */
  readonly dedupMs?: number | undefined;
  /** Of the state's schema. */
  readonly version: number;
  /** Makes a state of this version of one of another. */
  readonly migrate?: ((old: unknown, version: number) => unknown) | undefined;
  readonly activated?: ((context: object) => unknown) | undefined;
  readonly deactivated?: ((context: object, reason: PassivationReason) => unknown) | undefined;
}

/** The entity type with the code that `runOf` makes of that of each message; it counts anew. */
export function withRuns(
  definition: EntityDefinition,
  runOf: (spec: MessageSpec) => MessageSpec["run"],
): EntityDefinition {
  const messages = new Map(definition.messages);
  for (const [type, spec] of messages) {
    messages.set(type, { ...spec, run: runOf(spec), counts: new MessageCounts() });
  }
  return { ...definition, messages };
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
