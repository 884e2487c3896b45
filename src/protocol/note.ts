/**
 * What nodes tell each other beside messages and replies: errors and ends of calls, redirects of
 * messages that were not accepted, the handoff of shards, what is published, and what entities push
 * to those who watch them.
 */
import type { ErrorCode } from "../base/errors.ts";
import { hasShape, isWhole, type Shape } from "../base/shape.ts";
import { isEntityId } from "./ids.ts";

/** An error on its way to the caller. */
export interface FailureNote {
  readonly kind: "failure";
  readonly call: number;
  readonly code: ErrorCode;
  readonly details: object;
}

/** The caller waits no more: the handler of this call may give up. */
export interface CancelledNote {
  readonly kind: "cancelled";
  readonly call: number;
}

/** Not accepted: this message of the channel and those behind it have to be sent again. */
export interface RedirectNote {
  readonly kind: "redirect";
  readonly group: string;
  readonly shard: number;
  readonly channel: number;
  readonly sequence: number;
  /** The frame that carried it: messages in later frames are not meant. */
  readonly frame: number;
  /** How long to wait when no newer record tells of another owner. */
  readonly retryMs: number;
  /** The record that the refuser knows. */
  readonly entry: unknown;
}

/** The answer to a {@link TransferNote}, or the end of a handoff. */
export interface AnswerNote {
  readonly kind: "confirmed" | "refused" | "aborted";
  readonly group: string;
  readonly shard: number;
  readonly handoff: string;
}

/** A shard with all that is in it. */
export interface TransferNote extends Omit<AnswerNote, "kind"> {
  readonly kind: "transfer";
  readonly epoch: number;
  readonly counters: readonly CounterRow[];
  readonly rows: readonly Row[];
  /** False when more rows follow. */
  readonly isLast: boolean;
}

/**
 * What its sender wants to hear of. A version rises with every change of the names; without names
 * it is the one that was told last.
 */
export interface InterestNote {
  readonly kind: "interest";
  readonly version: number;
  /** When it was sent, by its sender's clock: comes back with the answer. */
  readonly sentMs: number;
  /** Each with whether its messages are wanted, not only that something happened. */
  readonly names?: readonly (readonly [type: string, wantsMessage: boolean])[];
}

/** The answer to an {@link InterestNote}: everything that was told before has come. */
export interface HeardNote extends Pick<InterestNote, "version" | "sentMs"> {
  readonly kind: "heard";
}

/** An event was published, or a command ran; without its message it may stand for many. */
export interface HappenedNote {
  readonly kind: "happened";
  readonly type: string;
  readonly message?: object;
  /** The context that it was published in, as it travels. */
  readonly trace?: unknown;
}

/** Which entity is watched. */
export interface Watched {
  readonly entity: string;
  readonly id: string;
}

/** Asks its owner for what an entity pushes after a number; of no era: from now on. */
export interface WatchNote extends Watched {
  readonly kind: "watch";
  readonly call: number;
  readonly era: string;
  readonly after: number;
}

/** Its sender watches as before, or not any more. */
export interface WatchingNote extends Watched {
  readonly kind: "watching" | "unwatch";
}

/**
 * The answer to a {@link WatchNote}: what comes after `after` will be told, and `last` was the last
 * one so far. Of no era: the sender does not serve the entity, or knows nothing of the watch.
 */
export interface WatchedNote extends Watched {
  readonly kind: "watched";
  readonly call: number;
  readonly era: string;
  readonly after: number;
  readonly last: number;
}

/** An entity has pushed a message, the one of that number in an era. */
export interface PushedNote extends Watched {
  readonly kind: "pushed";
  readonly era: string;
  readonly number: number;
  readonly message: object;
}

/** What belongs to watches of entities: no other note names an entity. */
export type EntityNote = WatchNote | WatchingNote | WatchedNote | PushedNote;
/** What belongs to topics. */
export type TopicNote = InterestNote | HeardNote | HappenedNote;
/** Each is idempotent. */
export type HandoffNote = TransferNote | AnswerNote;
/** See the file's header. */
export type Note =
  | FailureNote
  | CancelledNote
  | RedirectNote
  | HandoffNote
  | TopicNote
  | EntityNote;

/** How far a channel has come: sender, channel, last number. */
export type CounterRow = readonly [sender: string, channel: number, last: number];

/** A part of an entity that travels. */
export type Row = readonly [kind: string, ...values: unknown[]];

const PLACE: Shape = { group: "string", shard: "whole" };
const ANSWER: Shape = { ...PLACE, handoff: "string" };
const WATCHED: Shape = { entity: "string", id: "string" };
const WATCH: Shape = { ...WATCHED, call: "whole", era: "string", after: "whole" };
const SHAPES: Readonly<Record<string, Shape>> = {
  failure: { call: "whole", code: "string", details: "object" },
  cancelled: { call: "whole" },
  redirect: { ...PLACE, channel: "whole", sequence: "whole", frame: "whole", retryMs: "whole" },
  transfer: { ...ANSWER, epoch: "whole", counters: "list", rows: "list", isLast: "boolean" },
  confirmed: ANSWER,
  refused: ANSWER,
  aborted: ANSWER,
  interest: { version: "whole", sentMs: "number" },
  heard: { version: "whole", sentMs: "number" },
  happened: { type: "string" },
  watch: WATCH,
  watching: WATCHED,
  unwatch: WATCHED,
  watched: { ...WATCH, last: "whole" },
  pushed: { ...WATCHED, era: "string", number: "whole", message: "object" },
};

/** True for a note that makes sense. */
export function isNote(value: unknown): value is Note {
  const fields = (value ?? {}) as Readonly<Record<string, unknown>>;
  const { kind, counters, rows, names = [], message = {} } = fields;
  const shape = typeof kind === "string" && Object.hasOwn(SHAPES, kind) ? SHAPES[kind] : undefined;
  if (shape === undefined || !hasShape(value, shape)) return false;
  if (kind === "interest") return Array.isArray(names) && names.every(isInterestRow);
  if (kind === "happened") return typeof message === "object" && message !== null;
  if (kind !== "transfer") return fields["id"] === undefined || isEntityId(fields["id"]);
  return (counters as unknown[]).every(isCounterRow) && (rows as unknown[]).every(isRow);
}

function isRow(row: unknown): boolean {
  return Array.isArray(row) && typeof row[0] === "string";
}

function isInterestRow(row: unknown): boolean {
  return Array.isArray(row) && typeof row[0] === "string" && typeof row[1] === "boolean";
}

function isCounterRow(row: unknown): boolean {
  return Array.isArray(row) && typeof row[0] === "string" && isWhole(row[1]) && isWhole(row[2]);
}
