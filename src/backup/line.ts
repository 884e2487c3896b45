/**
 * The format of an export: lines of JSON, each of which ends with a checksum of what it says.
 *
 * ```
 * {"catga":"export","format":1,"cluster":"shop","at":"2026-…","export":"…",
 *   "shardCount":1024,"total":3,"sum":"…"}
 * {"entity":"cart","id":"42","recordVersion":7,"record":{"version":1,"state":…,…},"sum":"…"}
 * {"entity":"cart","id":"43","recordVersion":2,"corrupt":"why","due":…,"raw":"…","sum":"…"}
 * {"end":true,"entities":3,"corrupt":1,"chain":"…","sum":"…"}
 * ```
 *
 * `record` is the JSON of what is stored, and `state` in it that of devalue: a list whose first
 * item is the state, and whose other items are its parts, named by their places. The chain goes
 * through the checksums of all lines before it, so a line that is gone shows at the end.
 */
import { CatgaError, describeError, isCatgaError } from "../base/errors.ts";
import { checksum } from "../base/hash.ts";
import { hasShape, isWhole } from "../base/shape.ts";
import type { StoredEntity } from "../ports/store.ts";
import { checkEntityId, checkName, entityKey } from "../protocol/ids.ts";
import { decodeRecord, jsonOfRecord, sealRecord } from "../runtime/record.ts";
import { firstMsOf } from "../runtime/packet.ts";

/** The first line. */
export interface Header {
  readonly kind: "header";
  readonly cluster: string;
  /** When it was begun, by the wall clock of that machine. */
  readonly at: string;
  /** Digits that no other export has. */
  readonly export: string;
  readonly shardCount: number;
  /** How many entities there were about. */
  readonly total: number | undefined;
}

/** An entity of an export. */
export interface EntityLine extends Pick<StoredEntity, "entity" | "id" | "dueMs"> {
  readonly kind: "entity";
  readonly recordVersion: number;
  readonly data: string;
  readonly isCorrupt: boolean;
}

/** The last line. */
export interface End {
  readonly kind: "end";
  readonly entities: number;
  readonly chain: string;
}

type Fields = Readonly<Record<string, unknown>>;

const FORMAT = 1;
const SEALED = /^(\{.*),"sum":"([0-9a-f]{8})"\}\s*$/s;
/** What some readers of lines take for the end of one, though it may stand in JSON. */
const SEPARATORS = /[\u2028\u2029]/g;
const HEADER = { cluster: "string", at: "string", export: "string", shardCount: "whole" } as const;
const ENTITY = { entity: "string", id: "string", recordVersion: "whole" } as const;
const RECORD = { version: "whole", answers: "list", reminders: "list" } as const;
const END = { entities: "whole", chain: "string" } as const;

/** The checksums of the lines so far, as one. */
export class Chain {
  #sum = "";

  /** Goes on with a line. */
  add(line: string): void {
    this.#sum = sumOf(this.#sum + (SEALED.exec(line)?.[2] ?? ""));
  }

  get sum(): string {
    return this.#sum;
  }
}

/** The line of a {@link Header}. */
export function headerLine(header: Omit<Header, "kind">): string {
  const { cluster, at, export: name, shardCount, total } = header;
  return seal({ catga: "export", format: FORMAT, cluster, at, export: name, shardCount, total });
}

/** The line of an entity that has data, and why its record cannot be read, if so. */
export function entityLine(stored: StoredEntity & { readonly data: string }): {
  readonly line: string;
  readonly corrupt: string | undefined;
} {
  const { entity, id, version: recordVersion, data, dueMs: due } = stored;
  const head = { entity, id, recordVersion };
  try {
    decodeRecord(data, entityKey(entity, id), 0);
    return { line: seal({ ...head, record: readable(data) }), corrupt: undefined };
  } catch (error) {
    const isKnown = isCatgaError(error, "STATE_CORRUPT");
    const corrupt = isKnown ? error.details.reason : describeError(error).text;
    return { line: seal({ ...head, corrupt, due, raw: data }), corrupt };
  }
}

/** The last line of an export. */
export function endLine(end: Omit<End, "kind"> & { readonly corrupt: number }): string {
  const { entities, corrupt, chain } = end;
  return seal({ end: true, entities, corrupt, chain });
}

/** What a line says. Throws an `Error` that says what is wrong with it. */
export function parseLine(line: string): Header | EntityLine | End {
  const [, text, sum] = SEALED.exec(line) ?? [];
  if (text === undefined) throw new Error("it is cut, or not of an export");
  if (sumOf(`${text}}`) !== sum) throw new Error("its checksum does not match");
  const fields = JSON.parse(`${text}}`) as Fields;
  if (fields["catga"] === "export") return headerIn(fields);
  if (hasShape(fields, ENTITY)) return entityIn(fields);
  if (fields["end"] === true && hasShape(fields, END)) return { kind: "end", ...fields } as End;
  throw new Error("it has not what a line of an export has");
}

function headerIn({ format, ...fields }: Fields): Header {
  if (format !== FORMAT) {
    throw new Error(`its format is ${JSON.stringify(format)}, and this catga knows ${FORMAT}`);
  }
  const { export: name, total = 0 } = fields;
  if (!hasShape(fields, HEADER) || !/^\d{16}$/.test(String(name)) || !isWhole(total)) {
    throw new Error("it is no header of an export");
  }
  return { kind: "header", ...fields } as Header;
}

function entityIn(fields: Fields): EntityLine {
  const { entity, id, recordVersion, record, raw, due } = fields;
  checkName(entity, "entity name");
  checkEntityId(id);
  const head = { kind: "entity", entity, id, recordVersion: Number(recordVersion) } as const;
  if (typeof raw === "string") {
    const dueMs = typeof due === "number" ? due : undefined;
    return { ...head, data: raw, dueMs, isCorrupt: true };
  }
  if (!hasShape(record, RECORD)) throw new Error("its record lacks what a record has");
  const data = recordOf(record as Fields);
  const { reminders } = decodeRecord(data, entityKey(entity, id), 0);
  return { ...head, data, dueMs: firstMsOf(reminders), isCorrupt: false };
}

/** A record that can be read, as an import would write it. */
export function normalOf(data: string): string {
  try {
    return recordOf(readable(data));
  } catch {
    return data;
  }
}

/** The JSON of a record. */
function readable(data: string): Fields {
  return JSON.parse(jsonOfRecord(data)) as Fields;
}

function recordOf(fields: Fields): string {
  return sealRecord(JSON.stringify(fields));
}

/** The error for whoever imports line number `line`, counted from 1. */
export function badLine(line: number, cause: unknown): CatgaError<"BAD_LINE"> {
  return new CatgaError("BAD_LINE", { line, reason: describeError(cause).text }, { cause });
}

function seal(fields: Fields): string {
  const text = JSON.stringify(fields).replaceAll(SEPARATORS, escaped);
  return `${text.slice(0, -1)},"sum":"${sumOf(text)}"}`;
}

function escaped(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16)}`;
}

function sumOf(text: string): string {
  return checksum(text).toString(16).padStart(8, "0");
}
