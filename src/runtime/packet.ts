/**
 * An entity on its way to another node, with everything it needs to go on there: its state, the
 * messages it had accepted and not run, its timers. In memory on both sides a {@link Packet}, on
 * the wire a few rows:
 *
 * ```
 * ["entity", name, id, state as text, or null for one that begins anew or is read from the store,
 *   …versions if it is stored]
 * ["message", incarnation of the sender, number of the call, milliseconds left, message, extras]
 * ["timer", milliseconds left, message]
 * ["answer", command and key, milliseconds left, { value } or { code, details }]
 * ["reminder", { name, dueMs, everyMs, message }]
 * ["watched", era, last number, nodes that watch, what it has pushed last]
 * ```
 *
 * State may hold what devalue knows beside plain data: Map, Set, Date, bytes, bigint, cycles.
 */
import type * as Devalue from "devalue";
import { isDeeperThan } from "../base/depth.ts";
import { CatgaError, describeError, isErrorCode } from "../base/errors.ts";
import { STATE_CHARS_MAX, STATE_DEPTH_MAX, TRANSFER_CHARS_MAX } from "../base/limits.ts";
import { hasShape, isWhole } from "../base/shape.ts";
import type { Row } from "../protocol/note.ts";
import type { Outcome, Work } from "./work.ts";

/** See the file's header. */
export interface Packet {
  readonly entity: string;
  readonly id: string;
  /**
   * Nothing for an entity that had ended, and only has messages waiting; or, with `stored`, for one
   * whose state is too large for the way.
   */
  readonly state: { readonly value: unknown } | undefined;
  /** The versions of its record and of its state's shape; nothing where nothing is stored. */
  readonly stored?: readonly [record: number, shape: number] | undefined;
  readonly works: Work[];
  readonly timers: TimerRow[];
  /** Of commands with a key. */
  readonly answers: KeptAnswer[];
  readonly reminders: Reminder[];
  /** Of one that is watched, in memory or not. */
  watched?: WatchedRow;
}

/** An entity that is watched: see `watched.ts`. */
export interface WatchedRow {
  readonly era: string;
  readonly last: number;
  readonly watchers: readonly unknown[];
  readonly kept: readonly unknown[];
}

/** A timer of an entity: when it is due, by this node's clock, and what it sends. */
export interface TimerRow {
  readonly dueMs: number;
  readonly message: unknown;
}

/** An answer that is kept: to which command, until when, which. */
export interface KeptAnswer {
  readonly name: string;
  readonly untilMs: number;
  readonly outcome: Outcome;
}

/** A message that an entity has itself reminded of: when by the wall clock, how often, what. */
export interface Reminder {
  readonly name: string;
  readonly dueMs: number;
  /** 0 for once. */
  readonly everyMs: number;
  readonly message: unknown;
}

const REMINDER = { name: "string", dueMs: "number", everyMs: "number", message: "object" } as const;
const ESCAPED = 6;
/** An object in another one takes so many characters at least: `,[1]`. */
const LEVEL_CHARS_MIN = 4;

let codec: typeof Devalue | undefined;

/**
 * Loads what state is written with; before that nothing travels and nothing is stored. A node that
 * is alone and keeps nothing never needs it.
 */
export async function loadStateCodec(): Promise<void> {
  codec ??= await import("devalue");
}

/** True when state can be written and read. */
export function hasStateCodec(): boolean {
  return codec !== undefined;
}

/** The rows of `packet`; a text that says why, when its state cannot travel. */
export function rowsOf(packet: Packet, nowMs: number): Row[] | string {
  const { entity, id, state, works, timers, answers } = packet;
  let text: string | null = null;
  try {
    if (state !== undefined) text = encodeState(state.value);
  } catch (error) {
    return (error as Error).message;
  }
  // Escaped it is at most so many times as long, which spares most states the look.
  if ((text?.length ?? 0) * ESCAPED > STATE_CHARS_MAX) {
    const { length } = JSON.stringify(text);
    const isTooLong = length > STATE_CHARS_MAX;
    // What is stored is read from there.
    if (isTooLong && packet.stored !== undefined) text = null;
    else if (isTooLong) return `${length} characters, at most ${STATE_CHARS_MAX} travel`;
  }
  return [
    ["entity", entity, id, text, ...(packet.stored ?? [])],
    ...works.flatMap((work) => (work.row === undefined ? [] : [work.row(nowMs)])),
    ...timers.map(({ dueMs, message }) => ["timer", Math.max(0, dueMs - nowMs), message] as const),
    ...answers.map((answer) => answerRow(answer, nowMs)),
    ...packet.reminders.map((each) => ["reminder", each] as const),
  ];
}

/** A state as text. @throws {Error} that says what cannot be written, and where. */
export function encodeState(value: unknown): string {
  let text: string;
  try {
    text = codec!.stringify(value);
  } catch (error) {
    // Of user data: a function, an instance of a class, nested too deeply.
    const { text: why } = describeError(error);
    const where = (error as { path?: string }).path ?? "its root";
    throw new Error(`${why} at ${where}`, { cause: error });
  }
  const mayBeDeep = text.length > STATE_DEPTH_MAX * LEVEL_CHARS_MIN;
  if (!mayBeDeep || !isDeeperThan(STATE_DEPTH_MAX, value)) return text;
  throw new Error(`it is nested deeper than ${STATE_DEPTH_MAX} levels`);
}

/** Puts rows together to messages that a frame can carry; the last one is marked. */
export function* chunksOf(rows: readonly Row[]): Iterable<[Row[], chars: number, isLast: boolean]> {
  let chunk: Row[] = [];
  let chars = 0;
  for (const row of rows) {
    // The length of an entity is that of its state, near enough: most rows are entities.
    const state = row[3];
    const length = row[0] === "entity" ? String(state).length + 100 : JSON.stringify(row).length;
    if (chars > 0 && chars + length > TRANSFER_CHARS_MAX) {
      yield [chunk, chars, false];
      chunk = [];
      chars = 0;
    }
    chunk.push(row);
    chars += length;
  }
  yield [chunk, chars, true];
}

/** Takes rows apart; `readMessage` makes a message of its row, if its entity knows it. */
export function packetsOf(
  rows: readonly Row[],
  nowMs: number,
  readMessage: (row: Row, entity: string, id: string) => Work | undefined,
): Packet[] | undefined {
  const packets: Packet[] = [];
  for (const row of rows) {
    const [kind, first, second, third, ...versions] = row;
    const last = packets.at(-1);
    if (kind === "entity" && typeof first === "string" && typeof second === "string") {
      const state = decodeState(third);
      if (state === "malformed") return undefined;
      const [record, shape] = versions;
      const stored = isWhole(record) && isWhole(shape) ? ([record, shape] as const) : undefined;
      const rest = { works: [], timers: [], answers: [], reminders: [] };
      packets.push({ entity: first, id: second, state, stored, ...rest });
    } else if (kind === "message" && last !== undefined) {
      const work = readMessage(row, last.entity, last.id);
      if (work !== undefined) last.works.push(work);
    } else if (kind === "timer" && last !== undefined && typeof first === "number") {
      last.timers.push({ dueMs: nowMs + first, message: second });
    } else if (kind === "answer" && last !== undefined) {
      const answer = answerOf(row, nowMs);
      if (answer === undefined) return undefined;
      last.answers.push(answer);
    } else if (kind === "watched" && last !== undefined && typeof first === "string") {
      const [kept] = versions;
      if (!isWhole(second) || !Array.isArray(third) || !Array.isArray(kept)) return undefined;
      last.watched = { era: first, last: second, watchers: third, kept };
    } else if (kind === "reminder" && last !== undefined && isReminder(first)) {
      last.reminders.push(first);
    } else {
      return undefined;
    }
  }
  return packets;
}

/** True for one that makes sense. */
export function isReminder(value: unknown): value is Reminder {
  return hasShape(value, REMINDER);
}

/** When the first of `all` is due. */
export function firstMsOf(all: readonly Reminder[]): number | undefined {
  return all.length === 0 ? undefined : Math.min(...all.map(({ dueMs }) => dueMs));
}

/** An answer as a row; `nowMs` is the time that its end is counted from. */
export function answerRow({ name, untilMs, outcome }: KeptAnswer, nowMs: number): Row {
  if ("value" in outcome) return ["answer", name, untilMs - nowMs, outcome];
  const { code, details } = outcome.error;
  return ["answer", name, untilMs - nowMs, { code, details }];
}

/** The answer of a row, or nothing when that makes no sense. */
export function answerOf([, name, leftMs, kept]: Row, nowMs: number): KeptAnswer | undefined {
  const outcome = outcomeOf(kept);
  if (outcome === undefined || typeof name !== "string") return undefined;
  return typeof leftMs === "number" ? { name, untilMs: nowMs + leftMs, outcome } : undefined;
}

function outcomeOf(kept: unknown): Outcome | undefined {
  if (!hasShape(kept, {})) return undefined;
  const { value, code, details } = kept as Readonly<Record<string, unknown>>;
  if (code === undefined) return { value };
  if (!isErrorCode(code) || !hasShape(details, {})) return undefined;
  return { error: new CatgaError(code, details as never) };
}

/** The state of a text; nothing for one that begins anew. */
function decodeState(text: unknown): Packet["state"] | "malformed" {
  if (text === null) return undefined;
  if (typeof text !== "string") return "malformed";
  try {
    return { value: readState(JSON.parse(text)) };
  } catch {
    return "malformed"; // The text was cut or forged.
  }
}

/** The state of a text whose JSON was read. Throws when that makes no sense. */
export function readState(flat: unknown): unknown {
  return codec!.unflatten(flat as number | unknown[]);
}
