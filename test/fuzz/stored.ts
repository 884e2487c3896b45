/** What stores and exports hold: whoever wrote it, it is read, or refused as documented. */
import { isDeepStrictEqual } from "node:util";
import * as fc from "fast-check";
import { endLine, entityLine, headerLine, parseLine } from "../../src/backup/line.ts";
import { checksum } from "../../src/base/hash.ts";
import { isCatgaError } from "../../src/index.ts";
import { entityOf, recordOf, textOfRecord } from "../../src/drivers/broker/record.ts";
import { decodeRecord, encodeRecord, sealRecord } from "../../src/runtime/record.ts";
import { loadStateCodec } from "../../src/runtime/packet.ts";
import { flat, jsonLike, textLike } from "./inputs.ts";
import { checkRefusal, Finding, holds, refusing, type Target, targetOf } from "./target.ts";

// What is stored is written with it, samples too.
await loadStateCodec();

const KEPT = {
  version: 1,
  answers: [
    ["answer", "key", 500, { value: 1 }],
    ["answer", "k2", 500, { code: "OVERLOADED", details: { what: "calls", limit: 1 } }],
  ],
  reminders: [{ name: "r", dueMs: 1, everyMs: 0, message: { type: "add" } }],
  state: [{ count: 1, at: 2, map: 3 }, 5, ["Date", "2026-01-01T00:00:00.000Z"], ["Map", 1, 1]],
};
const HEADER = { cluster: "shop", at: "2026", export: "0123456789012345", shardCount: 32 };
const WRITE = {
  entity: "cart",
  id: "42",
  shard: 3,
  expected: 0,
  fence: "0001",
  data: "1 data",
  dueMs: 5,
};
const PLAN = { write: WRITE, operation: "abc.0", version: 7_000 };
const GONE = { ...PLAN, write: { ...WRITE, data: undefined, dueMs: undefined } };

/** Sealed as if somebody meant it: what is behind the checksum is to be reached. */
const sealed = fc.oneof(
  { weight: 4, arbitrary: jsonLike(KEPT).map(sealRecord) },
  { weight: 1, arbitrary: textLike(sealRecord(JSON.stringify(KEPT))) },
);

const records = targetOf({
  name: "state",
  inputs: sealed,
  open: () => ({ subject: { decodeRecord } }),
  // Forgets that an answer may be none.
  plant: () => ({
    decodeRecord(text, entity, aheadMs) {
      const value = JSON.parse(text.slice(11)) as { answers: unknown[][] };
      for (const answer of value.answers) answer.at(0);
      return decodeRecord(text, entity, aheadMs);
    },
  }),
  check(subject, text: string) {
    const kept = refusing(() => subject.decodeRecord(text, "cart/42", 0));
    if (kept === undefined) return;
    // What a state holds that cannot be written again is refused when it is written.
    let again: string;
    try {
      again = encodeRecord(kept, 0);
    } catch {
      return;
    }
    const { answers, reminders, version } = decodeRecord(again, "cart/42", 0);
    holds(flat([reminders, version]) === flat([kept.reminders, kept.version]), "it changes");
    holds(answers.length === kept.answers.length, "an answer is gone");
  },
});

const brokers = targetOf({
  name: "broker-record",
  inputs: textLike(textOfRecord(PLAN), textOfRecord(PLAN, 6_000), textOfRecord(GONE)),
  open: () => ({ subject: { recordOf } }),
  plant: () => ({ recordOf: (text, entity) => recordOf(text.slice(0, 60), entity) }),
  check(subject, text: string) {
    const shown = entityOf("cart", "42", text);
    holds(shown.data === undefined || text.endsWith(shown.data), "it is shown as another one");
    const found = refusing(() => subject.recordOf(text, "cart/42"));
    if (found === undefined) return;
    const { version, fence, operation, shard, dueMs, dueVersion, data } = found;
    const write = { ...WRITE, shard, fence, dueMs, data };
    const again = textOfRecord({ write, operation, version }, dueVersion);
    holds(isDeepStrictEqual(recordOf(again, "cart/42"), found), "it changes");
    holds(data === undefined || text.endsWith(data), "it has other data");
  },
});

const ENTITY = entityLine({
  ...WRITE,
  dueMs: undefined,
  version: 7,
  data: sealRecord(JSON.stringify(KEPT)),
});
const LINES = [
  headerLine({ ...HEADER, total: 3 }),
  headerLine({ ...HEADER, total: undefined }),
  entityLine({ ...WRITE, version: 7, data: "no record" }).line,
  endLine({ entities: 3, chain: "abc", corrupt: 1 }),
];

function sumOf(text: string): string {
  return checksum(text).toString(16).padStart(8, "0");
}

/** With a checksum that matches. */
function resealed(json: string): string {
  return `${json.slice(0, -1)},"sum":"${sumOf(json)}"}`;
}

function fieldsOf(line: string): unknown {
  const { sum: _, ...fields } = JSON.parse(line) as Record<string, unknown>;
  return fields;
}

const lines = targetOf({
  name: "backup",
  inputs: fc.oneof(
    jsonLike(...[...LINES, ENTITY.line].map(fieldsOf)).map(resealed),
    textLike(...LINES, ENTITY.line),
  ),
  open: () => ({ subject: { parseLine } }),
  plant: () => ({
    parseLine(line) {
      const fields = JSON.parse(line.slice(0, line.lastIndexOf(",")) + "}") as { id?: string };
      if (fields.id !== undefined) fields.id.normalize();
      return parseLine(line);
    },
  }),
  check(subject, line: string) {
    let parsed;
    try {
      parsed = subject.parseLine(line);
    } catch (error) {
      const isPlain = error instanceof Error && error.constructor === Error;
      if (isPlain || error instanceof SyntaxError) return;
      if (isCatgaError(error, "STATE_CORRUPT") || isCatgaError(error, "INVALID_ID")) return;
      return checkRefusal(error);
    }
    if (parsed.kind !== "entity") return;
    const { entity, id, recordVersion: version, data, dueMs } = parsed;
    const stored = { entity, id, shard: 0, version, fence: "", data, dueMs };
    const again = subject.parseLine(entityLine(stored).line);
    if (again.kind !== "entity") throw new Finding("an entity is none any more");
    holds(again.id === id && again.data === data, "an entity changes");
  },
});

/** See the file's header. */
export const STORED_TARGETS: readonly Target[] = [records, brokers, lines];
