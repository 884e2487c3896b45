/** Notes that make no sense, each in the lists of a frame. */

import type { RedirectNote } from "../../src/protocol/note.ts";

/** One that makes sense. */
export const REDIRECT: RedirectNote = {
  kind: "redirect",
  group: "a",
  shard: 1,
  channel: 0,
  sequence: 1,
  frame: 1,
  retryMs: 0,
  entry: null,
};

/** What is wrong with each, and the lists. */
export function nonsenseNotes(): [what: string, lists: readonly unknown[]][] {
  const failure = { kind: "failure", call: 1, code: "A", details: {} };
  const transfer = { kind: "transfer", group: "a", shard: 1, handoff: "h", epoch: 1, isLast: true };
  const notes: readonly [what: string, note: unknown][] = [
    ["a note of nothing", null],
    ["a note of no kind", { group: "a", shard: 1, handoff: "h" }],
    ["a note of an unknown kind", { kind: "fun", group: "a", shard: 1, handoff: "h" }],
    ["a note of a kind that every object has", { kind: "constructor" }],
    ["a failure of nobody", { ...failure, call: undefined }],
    ["a failure without a code", { ...failure, code: undefined }],
    ["a failure without details", { ...failure, details: undefined }],
    ["a failure whose details are null", { ...failure, details: null }],
    ["a redirect without a shard", { ...REDIRECT, shard: null }],
    ["a redirect without a group", { ...REDIRECT, group: 1 }],
    ["an answer to half a shard", { kind: "refused", group: "a", shard: 0.5, handoff: "h" }],
    ["a transfer of nothing", { ...transfer, counters: [] }],
    ["a transfer of text", { ...transfer, counters: [], rows: "all" }],
    ["a transfer of half a counter", { ...transfer, counters: [["a", 1]], rows: [] }],
    ["a transfer of no row", { ...transfer, counters: [], rows: [1] }],
  ];
  return notes.map(([what, note]) => [what, [[], [], [], [note], []]]);
}
