/** Notes about topics and watches as they come from peers: what makes no sense is told apart. */
import { expect, test } from "bun:test";
import { isNote } from "../../src/protocol/note.ts";

const watched = { entity: "room", id: "a" };
const watch = { kind: "watch", ...watched, call: 1, era: "", after: 0 };
const pushed = { kind: "pushed", ...watched, era: "1.1", number: 1, message: { type: "said" } };
const interest = { kind: "interest", version: 1, sentMs: -0.5 };

test.each<[note: object]>([
  [interest],
  [{ ...interest, names: [] }],
  [{ ...interest, names: [["orders.paid", true]] }],
  [{ kind: "heard", version: 0, sentMs: 7.25 }],
  [{ kind: "happened", type: "orders.paid" }],
  [watch],
  [{ ...watched, kind: "watching" }],
  [{ ...watched, kind: "unwatch" }],
  [{ ...watch, kind: "watched", last: 2 }],
  [pushed],
  [{ kind: "happened", type: "orders.paid", message: { type: "orders.paid", n: 1 } }],
])("%j makes sense", (note) => {
  expect(isNote(JSON.parse(JSON.stringify(note)))).toBe(true);
});

test.each<[note: object]>([
  [{ ...interest, version: 0.5 }],
  [{ ...interest, sentMs: "1" }],
  [{ ...interest, names: null }],
  [{ ...interest, names: "orders.paid" }],
  [{ ...interest, names: ["orders.paid"] }],
  [{ ...interest, names: [["orders.paid"]] }],
  [{ ...interest, names: [[1, true]] }],
  [{ kind: "heard", version: 1 }],
  [{ kind: "happened" }],
  [{ ...watch, entity: 1 }],
  [{ ...watch, id: "" }],
  [{ ...watch, id: "x".repeat(257) }],
  [{ ...watch, id: "a\nb" }],
  [{ ...watch, id: null }],
  [{ ...watch, era: 1 }],
  [{ ...watch, after: -1 }],
  [{ ...watch, call: 0.5 }],
  [{ kind: "watching", entity: "room" }],
  [{ kind: "unwatch", id: "a" }],
  [{ ...watch, kind: "watched" }],
  [{ ...pushed, number: "1" }],
  [{ ...pushed, message: null }],
  [{ ...pushed, message: "text" }],
  [{ ...pushed, id: "a\u0000b" }],
  [{ kind: "happened", type: 1 }],
  [{ kind: "happened", type: "orders.paid", message: null }],
  [{ kind: "happened", type: "orders.paid", message: "text" }],
])("%j does not", (note) => {
  expect(isNote(note)).toBe(false);
});
