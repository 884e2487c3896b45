/**
 * What is stored of an entity, as one text: `1 <checksum> <JSON>`. The JSON holds the version of
 * the schema, the answers to commands with a key, until when by the wall clock, the reminders, and
 * the state as devalue writes it. The checksum is of the JSON: a record that was cut or damaged is
 * not believed.
 */
import { CatgaError } from "../base/errors.ts";
import { checksum } from "../base/hash.ts";
import { hasShape } from "../base/shape.ts";
import {
  answerOf,
  answerRow,
  encodeState,
  isReminder,
  type KeptAnswer,
  readState,
  type Reminder,
} from "./packet.ts";

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
  const rest = JSON.stringify({ version, answers, reminders }).slice(0, -1);
  // What devalue writes is JSON: as a text within it all its quotes would be escaped.
  return sealRecord(`${rest},"state":${encodeState(state)}}`);
}

/** The text of a record whose JSON is known. */
export function sealRecord(json: string): string {
  return `${FORMAT} ${checksumOf(json)} ${json}`;
}

/** The JSON of a record that was decoded. */
export function jsonOfRecord(text: string): string {
  return text.slice(FORMAT.length + CHECKSUM_CHARS + 2);
}

/** @throws {CatgaError} STATE_CORRUPT when the text makes no sense. */
export function decodeRecord(text: string, entity: string, aheadMs: number): Kept {
  const corrupt = (reason: string): never => {
    throw new CatgaError("STATE_CORRUPT", { entity, reason });
  };
  const [head = corrupt("it is no record of catga")] = HEAD.exec(text) ?? [];
  const json = jsonOfRecord(text);
  if (!head.includes(checksumOf(json))) corrupt("its checksum does not match");
  try {
    const value = JSON.parse(json) as Kept & { readonly answers: readonly unknown[] };
    const { version, reminders } = value;
    const answers = value.answers.map((row) => answerOf(row as never, -aheadMs));
    const isWhole = hasShape(value, SHAPE) && reminders.every(isReminder);
    if (isWhole && answers.every((answer) => answer !== undefined)) {
      return { version, state: readState(value.state), answers, reminders };
    }
  } catch {
    // Sealed, and not by this catga: it says the same as one that lacks a part.
  }
  return corrupt("it lacks what a record has");
}

function checksumOf(text: string): string {
  return checksum(text).toString(16).padStart(CHECKSUM_CHARS, "0");
}
