/** Notes about topics as they come from peers: what makes no sense is told apart. */
import { expect, test } from "bun:test";
import { isNote } from "../../src/protocol/note.ts";

const interest = { kind: "interest", version: 1, sentMs: -0.5 };

test.each<[note: object]>([
  [interest],
  [{ ...interest, names: [] }],
  [{ ...interest, names: [["orders.paid", true]] }],
  [{ kind: "heard", version: 0, sentMs: 7.25 }],
  [{ kind: "happened", type: "orders.paid" }],
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
  [{ kind: "happened", type: 1 }],
  [{ kind: "happened", type: "orders.paid", message: null }],
  [{ kind: "happened", type: "orders.paid", message: "text" }],
])("%j does not", (note) => {
  expect(isNote(note)).toBe(false);
});
