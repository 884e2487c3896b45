/**
 * What is stored of an entity, as one text: `1 <checksum> <JSON>`, a line break, and the state as
 * devalue writes it. The JSON holds the version of the schema, the answers to commands with a key,
 * until when by the wall clock, and the reminders. The checksum is of all that follows it: a record
 * that was cut or damaged is not believed.
 */
import { CatgaError } from "../base/errors.ts";
import { checksum } from "../base/hash.ts";
import { hasShape } from "../base/shape.ts";
import type { KeptAnswer } from "./dedup-window.ts";
import { isReminder, type Reminder } from "./reminder.ts";
import { answerOf, answerRow, decodeState, encodeState } from "./packet.ts";

/** See the file's header. */
export interface Kept {
  /** Of the schema. */
  readonly version: number;
  readonly state: unknown;
  readonly answers: readonly KeptAnswer[];
  readonly reminders: readonly Reminder[];
}

const FORMAT = "1";
const SHAPE = { version: "whole", answers: "list", reminders: "list" } as const;
const CHECKSUM_CHARS = 8;
const HEAD = new RegExp(`^${FORMAT} [0-9a-f]{${CHECKSUM_CHARS}} `);

/** The text of a record; `aheadMs` is what the wall clock is ahead of that of the answers. */
export function encodeRecord(kept: Kept, aheadMs: number): string {
  const { version, state, reminders } = kept;
  const answers = kept.answers.map((answer) => answerRow(answer, -aheadMs));
  // The state is not a part of the JSON, in which all its quotes would be escaped.
  const text = `${JSON.stringify({ version, answers, reminders })}\n${encodeState(state)}`;
  return `${FORMAT} ${checksumOf(text)} ${text}`;
}

/** @throws {CatgaError} STATE_CORRUPT when the text makes no sense. */
export function decodeRecord(text: string, entity: string, aheadMs: number): Kept {
  const corrupt = (reason: string): never => {
    throw new CatgaError("STATE_CORRUPT", { entity, reason });
  };
  const [head = corrupt("it is no record of catga")] = HEAD.exec(text) ?? [];
  const rest = text.slice(head.length);
  if (!head.includes(checksumOf(rest))) corrupt("its checksum does not match");
  const end = rest.indexOf("\n");
  if (end === -1) corrupt("it lacks what a record has");
  const value = JSON.parse(rest.slice(0, end)) as Kept & { readonly answers: readonly unknown[] };
  if (!hasShape(value, SHAPE) || !value.reminders.every(isReminder)) {
    corrupt("it lacks what a record has");
  }
  const decoded = decodeState(rest.slice(end + 1));
  const answers = value.answers.map((row) => answerOf(row as never, -aheadMs));
  if (decoded === "malformed" || decoded === undefined || !answers.every(isAnswer)) {
    return corrupt("it lacks what a record has");
  }
  const { version, reminders } = value;
  return { version, state: decoded.value, answers, reminders };
}

function checksumOf(text: string): string {
  return checksum(text).toString(16).padStart(CHECKSUM_CHARS, "0");
}

function isAnswer(answer: KeptAnswer | undefined): answer is KeptAnswer {
  return answer !== undefined;
}
