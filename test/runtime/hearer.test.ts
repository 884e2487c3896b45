/** What another node is told, and in which order, by a stream that may have no room. */
import { expect, test } from "bun:test";
import { silentLogger } from "../../src/base/logger.ts";
import { Batch } from "../../src/protocol/frame.ts";
import type { Note } from "../../src/protocol/note.ts";
import { Hearer } from "../../src/runtime/hearer.ts";
import type { Peer } from "../../src/runtime/peer.ts";

/** A stream whose room the test decides on; each burst is a batch. */
class Stream {
  room = Number.POSITIVE_INFINITY;
  readonly notes: Note[] = [];
  #batch = new Batch();
  #waiting: { pump(): void } | undefined;

  get takesNews(): boolean {
    return this.#batch.notes.length < this.room;
  }
  outbox(): Batch {
    return this.#batch;
  }
  waitForRoom(waiting: { pump(): void }): void {
    this.#waiting = waiting;
  }
  flush(): void {
    this.notes.push(...this.#batch.notes);
    this.#batch = new Batch();
  }
  makeRoom(room: number): void {
    this.room = room;
    this.#waiting?.pump();
    this.flush();
  }
}

function hearerOf(stream: Stream): Hearer {
  const peerOf = (): Peer => stream as unknown as Peer;
  return new Hearer("n2.1", { log: silentLogger, peerOf, speak() {} });
}

test("an acknowledgement waits behind what waits: it says that all before it was told", () => {
  const stream = new Stream();
  const hearer = hearerOf(stream);
  stream.room = 0;
  for (let n = 0; n < 3; n++) hearer.hint("paid");
  expect(hearer.tell({ type: "paid", message: {}, charsMax: 1 })).toBe(false);
  hearer.acknowledge(1, 10);
  hearer.acknowledge(1, 20);
  stream.flush();
  expect(stream.notes).toEqual([]);
  hearer.hint("sent");
  stream.makeRoom(1);
  expect(stream.notes).toEqual([{ kind: "happened", type: "paid" }]);
  stream.makeRoom(10);
  expect(stream.notes).toEqual([
    { kind: "happened", type: "paid" },
    { kind: "happened", type: "sent" },
    { kind: "heard", version: 1, sentMs: 20 },
  ]);
  hearer.hint("paid");
  stream.flush();
  expect(stream.notes.length).toBe(4);
});

test("a question is not asked again before it is answered, unless it is another one", () => {
  const stream = new Stream();
  const hearer = hearerOf(stream);
  const ask = (version: number, sentMs: number): void =>
    hearer.ask({ version, names: [["paid", true]], sentMs });
  ask(1, 10);
  ask(1, 20);
  ask(2, 30);
  hearer.answered({ kind: "heard", version: 1, sentMs: 10 });
  ask(2, 40);
  hearer.answered({ kind: "heard", version: 2, sentMs: 30 });
  ask(2, 50);
  stream.flush();
  const names = [["paid", true]];
  expect(stream.notes).toEqual([
    { kind: "interest", version: 1, sentMs: 10, names },
    { kind: "interest", version: 2, sentMs: 30, names },
    { kind: "interest", version: 2, sentMs: 50 },
  ] as never);
});
