/** What nodes tell each other: frames, notes, transfers of shards, and records of the authority. */
import { isDeepStrictEqual } from "node:util";
import * as fc from "fast-check";
import { View } from "../../src/ownership/view.ts";
import {
  decodeFrame,
  encodeFrame,
  extrasValue,
  type Extras,
  itemsOf,
  type ItemReader,
  readExtras,
  readItems,
} from "../../src/protocol/frame.ts";
import { type Entry, isChange, isEntry, Ledger } from "../../src/protocol/ledger.ts";
import { isNote } from "../../src/protocol/note.ts";
import type { SessionRecord } from "../../src/protocol/records.ts";
import { loadStateCodec, packetsOf, rowsOf } from "../../src/runtime/packet.ts";
import { session } from "../contracts/seat.ts";
import { bytesLike, flat, jsonLike, textLike, valueLike } from "./inputs.ts";
import { holds, type Target, targetOf } from "./target.ts";

const TRACE = ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=b"];
const MESSAGE = [3, 1, 0, 1, 77, 5_000, "counter", "a", { type: "count", n: [1] }, 0];
const EXTRAS = ["key", 4, TRACE, "cart/1", "cart/2"];
const PLACE = { group: "counter", shard: 3 };
const ROWS = [
  ["entity", "counter", "a", '[{"count":1},1]', 7, 1],
  ["message", "n1.x", 1, 5, { type: "add" }, 0],
  ["timer", 5, { type: "add" }],
  ["answer", "key", 500, { value: 1 }],
  ["answer", "key", 500, { code: "OVERLOADED", details: { what: "calls", limit: 1 } }],
  ["watched", "era", 3, [["n1.x", 1]], [[1, {}]]],
  ["reminder", { name: "r", dueMs: 1, everyMs: 0, message: { type: "add" } }],
];
const RECORD = { owner: "n1.x", epoch: 2, cleanSince: 1, handoff: null };
const NOTES = [
  { kind: "failure", call: 1, code: "OVERLOADED", details: { what: "a", limit: 1 } },
  { kind: "cancelled", call: 1 },
  { kind: "redirect", ...PLACE, channel: 0, sequence: 1, frame: 1, retryMs: 0, entry: entry() },
  { kind: "confirmed", ...PLACE, handoff: "h" },
  { kind: "interest", version: 1, sentMs: 4, names: [["note", true]] },
  { kind: "heard", version: 1, sentMs: 4 },
  { kind: "happened", type: "note", message: { text: "x" } },
  {
    kind: "transfer",
    ...PLACE,
    handoff: "h",
    epoch: 1,
    counters: [["n1.x", 1, 5]],
    rows: ROWS,
    isLast: true,
  },
];
const FRAME = [
  1_700_000_000_000,
  1,
  0,
  "n1.abc",
  [MESSAGE, [1, { count: 1 }], [2], NOTES, [5, 1_000, { type: "note" }, EXTRAS]],
];
const ENTRIES = [
  entry(),
  entry("g.counter"),
  { ...entry("n.n1.x"), value: { ...session("n1"), incarnation: "n1.x", load: hotLoad() } },
  { ...entry("groups"), value: { groups: { counter: ["counter", "cart"] } } },
  { ...entry("leader"), value: { incarnation: "n1.x" } },
  { ...entry("meta"), value: { shardCount: 32, virtualNodes: 64 } },
];

function entry(key = "s.counter.3"): Omit<Entry, "value"> & { readonly value: object } {
  return { key, revision: 5, value: RECORD, operation: "n1.x:5" };
}

function hotLoad(): object {
  return { ...(session("n1") as SessionRecord).load, hot: [["counter", "a", 0.5, 100]] };
}

const SILENT: ItemReader = { message() {}, reply() {}, note() {}, ask() {} };

const frames = targetOf({
  name: "frame",
  inputs: bytesLike(jsonLike(FRAME, FRAME, [1, 2, 3, "a", []])),
  open: () => ({ subject: { decodeFrame } }),
  // Believes what stands there to be a list.
  plant: () => ({
    decodeFrame(bytes) {
      const found = decodeFrame(bytes) ?? JSON.parse(new TextDecoder().decode(bytes));
      return Array.isArray(found) ? undefined : found;
    },
  }),
  check(subject, bytes: Uint8Array) {
    const frame = subject.decodeFrame(bytes);
    if (frame === undefined) return;
    const isWhole = readItems(frame, SILENT);
    if (isWhole) holds(itemsOf(frame) >= 0, "a frame has fewer than no items");
    const { items, ...head } = frame;
    // A node id has no character that JSON would escape: such a frame is for nobody.
    if (JSON.stringify(head.to) !== `"${head.to}"`) return;
    const again = subject.decodeFrame(encodeFrame(head, flat(items)));
    holds(again !== undefined && flat(again) === flat(frame), "a frame changes on its way");
  },
});

const extras = targetOf({
  name: "extras",
  inputs: valueLike(EXTRAS, [0, 0, 0, "cart/1"], ["key", 0, 0], 0),
  open: () => ({ subject: { readExtras } }),
  plant: () => ({
    readExtras: (value) => readExtras(Array.isArray(value) ? value.slice(0, 4) : value),
  }),
  check(subject, value: unknown) {
    const read = subject.readExtras(value);
    if (read === "malformed" || !Array.isArray(value)) return;
    const { dedup, chain } = read;
    holds(value.length <= 3 || chain?.length === value.length - 3, "a turn is gone from a chain");
    const again = readExtras(extrasValue(read)) as Extras;
    holds(isDeepStrictEqual([again.dedup, again.chain], [dedup, chain]), "extras change");
  },
});

const notes = targetOf({
  name: "note",
  inputs: valueLike(...NOTES),
  async open() {
    await loadStateCodec();
    return { subject: { isNote } };
  },
  plant: () => ({
    isNote: (value): value is never =>
      isNote(value) || (value as { kind?: string } | null)?.kind === "transfer",
  }),
  check(subject, value: unknown) {
    if (!subject.isNote(value) || value.kind !== "transfer") return;
    for (const row of value.rows) holds(typeof row[0] === "string", "a row has no kind");
    const packets = packetsOf(value.rows, 0, () => undefined);
    for (const packet of packets ?? []) {
      const rows = rowsOf({ ...packet, works: [] }, 0);
      if (typeof rows === "string") continue;
      const again = packetsOf(rows, 0, () => undefined);
      holds(again?.length === 1, "a packet that was taken apart is none any more");
    }
  },
});

const records = targetOf({
  name: "record",
  inputs: fc.array(valueLike(...ENTRIES), { minLength: 1, maxLength: 5 }),
  open: () => ({ subject: { isEntry } }),
  plant: () => ({
    isEntry: (value): value is Entry =>
      isEntry(value) || (value as Entry | null)?.key?.startsWith("gr") === true,
  }),
  check(subject, all: unknown[]) {
    const view = new View();
    const ledger = new Ledger();
    for (const [at, found] of all.entries()) {
      const { revision: _, ...rest } = (found ?? {}) as Partial<Entry>;
      const change = { ...rest, expected: 0 };
      if (isChange(change)) holds(ledger.cas(change).result !== undefined, "no answer");
      if (!subject.isEntry(found)) continue;
      ledger.merge([found]);
      view.apply({ ...found, revision: at + 1 });
      view.told([found]);
      view.groupOf("counter");
      view.targets("counter");
      view.watchedBy("n1.x");
      view.shard("counter", 3);
      view.forgettable(Date.now(), 0);
    }
  },
});

const ids = targetOf({
  name: "name",
  inputs: textLike("n1.0123456789abcdef0123456789", "cart/42", "catga", "a_b-c.d"),
  async open() {
    return { subject: await import("../../src/drivers/nats/subject.ts") };
  },
  plant: (subject) => ({ ...subject, token: (text) => text.replaceAll(/[ .>*]/g, "_") }),
  check(subject, text: string) {
    const written = subject.token(text);
    holds(/^[A-Za-z0-9_-]*$/.test(written), "a token is none");
    holds(subject.textOf(written) === text, "a token does not say what it stands for");
    holds(/^[A-Za-z0-9_.=-]+$/.test(subject.bucketKey(1, text)), "a key is no subject");
  },
});

/** See the file's header. */
export const PROTOCOL_TARGETS: readonly Target[] = [frames, extras, notes, records, ids];
