/** Frames: what goes in comes out, and what makes no sense is said to make none. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  Batch,
  decodeFrame,
  encodeFrame,
  type Frame,
  type ItemReader,
  type AskItem,
  type MessageItem,
  readItems,
} from "../../src/protocol/frame.ts";
import { nonsenseNotes, REDIRECT } from "./nonsense-notes.ts";
import type { FailureNote, HandoffNote, Note, RedirectNote } from "../../src/protocol/note.ts";

/** A reader that writes down what it is told. */
class Notes implements ItemReader {
  readonly messages: MessageItem[] = [];
  readonly replies: [call: number, value: unknown][] = [];
  readonly notes: Note[] = [];
  readonly asks: AskItem[] = [];
  message(item: MessageItem): void {
    this.messages.push(item);
  }
  reply(call: number, value: unknown): void {
    this.replies.push([call, value]);
  }
  note(note: Note): void {
    this.notes.push(note);
  }
  ask(item: AskItem): void {
    this.asks.push(item);
  }
}

const whole = fc.nat(Number.MAX_SAFE_INTEGER);
const text = fc.string({ unit: "binary" });
const plain = fc
  .jsonValue({ maxDepth: 4 })
  .map((value): unknown => JSON.parse(JSON.stringify(value)));
const messages = fc.record<MessageItem>({
  shard: whole,
  epoch: whole,
  channel: whole,
  sequence: whole,
  call: whole,
  leftMs: fc.integer({ min: -1 }),
  entity: text,
  id: text,
  message: plain,
  dedup: fc.option(fc.record({ key: text, since: whole }), { nil: undefined }),
  chain: fc.option(fc.array(text, { minLength: 1, maxLength: 64 }), { nil: undefined }),
});
const replies = fc.tuple(whole, fc.oneof(plain, fc.constant(undefined)));
const failures = fc.record<FailureNote>({
  kind: fc.constant("failure"),
  call: whole,
  code: fc.constantFrom("MAILBOX_FULL", "HANDLER_FAILED"),
  details: fc.record({ entity: text }),
});
const redirects = fc.record<RedirectNote>({
  kind: fc.constant("redirect"),
  group: text,
  shard: whole,
  channel: whole,
  sequence: whole,
  frame: whole,
  retryMs: whole,
  entry: plain,
});
const about = { group: text, shard: whole, handoff: text };
const answers = fc.record<Exclude<HandoffNote, { kind: "transfer" }>>({
  kind: fc.constantFrom("confirmed", "refused", "aborted"),
  ...about,
});
const transfers = fc.record<Extract<HandoffNote, { kind: "transfer" }>>({
  kind: fc.constant("transfer"),
  ...about,
  epoch: whole,
  counters: fc.array(fc.tuple(text, whole, whole), { maxLength: 2 }),
  rows: fc.array(fc.tuple(text, plain), { maxLength: 2 }),
  isLast: fc.boolean(),
});
const notes = fc.oneof(failures, redirects, answers, transfers);
const heads = fc.record({
  generation: whole,
  number: whole,
  acknowledged: whole,
  to: fc.stringMatching(/^[\w.-]+$/),
});

interface Items {
  readonly messages: readonly MessageItem[];
  readonly replies: readonly [number, unknown][];
  readonly notes: readonly Note[];
}

const items: fc.Arbitrary<Items> = fc.record({
  messages: fc.array(messages, { maxLength: 5 }),
  replies: fc.array(replies, { maxLength: 5 }),
  notes: fc.array(notes, { maxLength: 5 }),
});

function batchOf(all: Items): Batch {
  const batch = new Batch();
  for (const item of all.messages) batch.addMessage(item);
  for (const [call, value] of all.replies) batch.addReply(call, value);
  batch.notes.push(...all.notes);
  return batch;
}

function read(frame: Frame): Notes {
  const notes = new Notes();
  expect(readItems(frame, notes)).toBe(true);
  return notes;
}

const HEAD = { generation: 1, number: 2, acknowledged: 3, to: "a.1" };
const MESSAGE = [1, 1, 0, 1, 1, 5, "a", "1", {}];
const LONG = Array.from({ length: 65 }, (_, n) => `a/${n}`);
const GOOD: Items = {
  messages: [
    {
      shard: 1,
      epoch: 1,
      channel: 0,
      sequence: 1,
      call: 1,
      leftMs: 5,
      entity: "a",
      id: "1",
      message: { type: "t" },
      dedup: { key: "k", since: 0 },
      chain: ["a/1", "a/2"],
    },
  ],
  replies: [
    [1, { a: 1 }],
    [2, undefined],
  ],
  notes: [
    { kind: "failure", call: 3, code: "OVERLOADED", details: { what: "a", limit: 1 } },
    REDIRECT,
    { kind: "refused", group: "a", shard: 1, handoff: "h" },
  ],
};

describe("a frame", () => {
  test("comes out as it went in", () => {
    fc.assert(
      fc.property(heads, items, (head, all) => {
        const batch = batchOf(all);
        const { messages, replies } = all;
        const lists = [messages, replies, all.notes];
        expect(batch.isEmpty).toBe(lists.every((list) => list.length === 0));
        const frame = decodeFrame(encodeFrame(head, batch.encode()))!;
        expect(frame).toMatchObject(head);
        const found = read(frame);
        expect(found.messages).toEqual([...messages]);
        // Calls that are done without a value are named apart.
        const withValue = replies.filter(([, value]) => value !== undefined);
        const done = replies.filter(([, value]) => value === undefined);
        expect(found.replies).toEqual([...withValue, ...done]);
        expect(found.notes).toEqual([...all.notes]);
      }),
      { numRuns: 300 },
    );
  });

  test("without items carries its head alone", () => {
    const frame = decodeFrame(encodeFrame(HEAD, ""))!;
    expect(frame).toEqual({ ...HEAD, items: [] });
    expect(read(frame)).toEqual(new Notes());
  });

  test("of bytes that are none is none, and nothing is thrown", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const frame = decodeFrame(bytes);
        if (frame !== undefined) readItems(frame, new Notes());
      }),
      { numRuns: 2_000 },
    );
  });

  test("of any JSON is read whole, refused, or both, and nothing is thrown", () => {
    const part = fc.oneof(fc.jsonValue(), fc.array(fc.jsonValue()), whole);
    const json = fc.tuple(part, part, part, part, fc.array(part, { minLength: 3, maxLength: 5 }));
    fc.assert(
      fc.property(json, (value) => {
        const frame = decodeFrame(new TextEncoder().encode(JSON.stringify(value)));
        if (frame !== undefined) expect(typeof readItems(frame, new Notes())).toBe("boolean");
      }),
      { numRuns: 1_000 },
    );
  });

  test("that was damaged on its way is refused, or has items of the right types", () => {
    const good = encodeFrame(HEAD, batchOf(GOOD).encode());
    const damage = fc.tuple(
      fc.nat(good.length - 1),
      fc.nat(255),
      fc.nat(good.length),
      fc.boolean(),
    );
    fc.assert(
      fc.property(fc.array(damage, { minLength: 1, maxLength: 4 }), (damages) => {
        let bytes = Uint8Array.from(good);
        for (const [at, value, length, isCut] of damages) {
          bytes[at] = value;
          if (isCut) bytes = bytes.slice(0, length);
        }
        const frame = decodeFrame(bytes);
        if (frame === undefined) return;
        const notes = new Notes();
        readItems(frame, notes);
        for (const { shard, sequence, entity, id } of notes.messages) {
          expect([shard, sequence].every((n) => Number.isSafeInteger(n) && n >= 0)).toBe(true);
          expect([typeof entity, typeof id]).toEqual(["string", "string"]);
        }
        for (const [call] of notes.replies) expect(Number.isSafeInteger(call)).toBe(true);
      }),
      { numRuns: 3_000 },
    );
  });

  const broken: readonly [what: string, json: string][] = [
    ["no JSON", "[1,"],
    ["no list", '{"a":1}'],
    ["null", "null"],
    ["nothing", ""],
    ["an empty list", "[]"],
    ["a head of texts", '["1",2,3,"a",[]]'],
    ["a negative number", '[1,-2,3,"a",[]]'],
    ["half a number", '[1,2.5,3,"a",[]]'],
    ["a number beyond those that are exact", '[1,9007199254740992,3,"a",[]]'],
    ["no one to go to", "[1,2,3,null,[]]"],
    ["no items", '[1,2,3,"a"]'],
    ["items that are no list", '[1,2,3,"a",{}]'],
  ];
  test.each([...broken])("of %s is none", (_, json) => {
    expect(decodeFrame(new TextEncoder().encode(json))).toBe(undefined);
  });

  test("that is no UTF-8 is none", () => {
    const bytes = encodeFrame({ ...HEAD, to: "é" }, "");
    bytes[bytes.indexOf(0xc3)] = 0xff;
    expect(decodeFrame(bytes)).toBe(undefined);
  });

  const nonsense: readonly [what: string, lists: readonly unknown[]][] = [
    ["too few lists", [[], [], [], []]],
    ["too many lists", [[], [], [], [], [], []]],
    ["half an ask", [[], [], [], [], [1, 2]]],
    ["an ask of a chain that is none", [[], [], [], [], [1, 2, {}, 1]]],
    ["a list that is none", [[], [], [], {}, []]],
    ["half a message", [[1, 1, 0, 1, 1], [], [], [], []]],
    ["a message without a number", [[null, 1, 0, 1, 1, 5, "a", "1", {}, 0], [], [], [], []]],
    ["a message without a deadline", [[1, 1, 0, 1, 1, "5", "a", "1", {}, 0], [], [], [], []]],
    ["a message without an id", [[1, 1, 0, 1, 1, 5, "a", 1, {}, 0], [], [], [], []]],
    ["a message without a word on its key", [[1, 1, 0, 1, 1, 5, "a", "1", {}], [], [], [], []]],
    ["a message whose key is no text", [[1, 1, 0, 1, 1, 5, "a", "1", {}, [1, 0]], [], [], [], []]],
    ["a message with half a key", [[1, 1, 0, 1, 1, 5, "a", "1", {}, ["k"]], [], [], [], []]],
    ["a message whose chain is no text", [[...MESSAGE, [0, 0, 0, 1]], [], [], [], []]],
    ["a message whose chain is too long", [[...MESSAGE, [0, 0, 0, ...LONG]], [], [], [], []]],
    ["a message whose key and chain are mixed up", [[...MESSAGE, [["a/1"], 0]], [], [], [], []]],
    ["a reply to nobody", [[], ["1", {}], [], [], []]],
    ["nothing done", [[], [], [null], [], []]],
    ...nonsenseNotes(),
  ];
  test.each([...nonsense])("with %s makes no sense", (_, items) => {
    expect(readItems({ ...HEAD, items }, new Notes())).toBe(false);
  });
});
