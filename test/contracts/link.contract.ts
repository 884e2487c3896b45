/** What every link does, whatever carries its frames: `src/ports/link.ts` as a program. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { FRAME_BYTES_MAX } from "../../src/base/limits.ts";
import type { Check } from "./check.ts";
import { bytes, deliver, type LinkFixture, open, same } from "./station.ts";
import { waitUntil } from "./wait-until.ts";

/** The contract. */
export const linkContract: readonly Check<LinkFixture>[] = [
  {
    name: "every frame that arrives is whole, and names its sender",
    async run(fixture) {
      const [a, b, receiver] = [await open(fixture), await open(fixture), await open(fixture)];
      const sent = [a, b].map((_, seed) =>
        Array.from({ length: 150 }, (_, n) => bytes((n * n * 7) % 70_000, seed + n * 2)),
      );
      for (const [i, from] of [a, b].entries()) await deliver(from, receiver, sent[i]![0]!);
      for (let n = 0; n < 150; n++) {
        for (const [i, from] of [a, b].entries()) from.link.send(receiver, sent[i]![n]!);
      }
      for (const [i, from] of [a, b].entries()) await deliver(from, receiver, sent[i]![149]!);
      for (const { from, frame } of receiver.all) {
        const own = from === a.incarnation ? sent[0]! : sent[1]!;
        ok(
          own.some((each) => same(each, frame)),
          `${frame.length} bytes that nobody sent`,
        );
      }
      for (const [i, from] of [a, b].entries()) {
        for (const frame of sent[i]!) await deliver(from, receiver, frame);
      }
    },
  },
  {
    name: "a frame reaches the node it is for, and no other",
    async run(fixture) {
      const stations = [await open(fixture), await open(fixture), await open(fixture)];
      for (const [i, from] of stations.entries()) {
        for (const [j, to] of stations.entries()) {
          if (i !== j) await deliver(from, to, Uint8Array.of(i, j));
        }
      }
      for (const [j, to] of stations.entries()) {
        for (const { from, frame } of to.all) {
          equal(frame[1], j);
          equal(stations[frame[0]!]!.incarnation, from);
        }
      }
    },
  },
  {
    name: "frames that are empty, binary or of the largest size arrive",
    async run(fixture) {
      const [a, b] = [await open(fixture), await open(fixture)];
      const everyByte = Uint8Array.from({ length: 256 }, (_, i) => i);
      for (const frame of [everyByte, new Uint8Array(0), bytes(FRAME_BYTES_MAX, 3)]) {
        await deliver(a, b, frame);
        await deliver(b, a, frame);
      }
    },
  },
  {
    name: "a frame above the largest size never arrives, and later ones do",
    async run(fixture) {
      const [a, b] = [await open(fixture), await open(fixture)];
      await deliver(a, b, Uint8Array.of(1));
      a.link.send(b, new Uint8Array(FRAME_BYTES_MAX + 1));
      await deliver(a, b, Uint8Array.of(2));
      await deliver(b, a, Uint8Array.of(3));
      ok(b.all.every(({ frame }) => frame.length === 1));
    },
  },
  {
    name: "the bytes that a listener is given are its own",
    async run(fixture) {
      const [a, b, c] = [await open(fixture), await open(fixture), await open(fixture)];
      for (const to of [b, c]) await deliver(a, to, Uint8Array.of(0));
      b.judge = c.judge = (frame) => {
        frame.fill(9);
        return true;
      };
      const frame = Uint8Array.of(1, 2, 3);
      for (const to of [b, c]) a.link.send(to, frame);
      await deliver(a, b, Uint8Array.of(4));
      await deliver(a, c, Uint8Array.of(4));
      deepEqual(frame, Uint8Array.of(1, 2, 3));
      ok(b.all.concat(c.all).every((each) => !each.frame.includes(9)));
    },
  },
  {
    name: "a frame that is sent before there is a connection arrives, or connected() is called",
    async run(fixture) {
      const [a, b] = [await open(fixture), await open(fixture)];
      const frame = Uint8Array.of(1);
      a.link.send(b, frame);
      await waitUntil(
        "it has arrived, or the sender is told to send it again",
        () => b.has(a, frame) || a.connections.includes(b.incarnation),
      );
      if (!b.has(a, frame)) a.link.send(b, frame);
      await waitUntil("it has arrived", () => b.has(a, frame));
    },
  },
  {
    name: "a listener that refuses a frame loses the connection at most",
    async run(fixture) {
      const [a, b, other] = [await open(fixture), await open(fixture), await open(fixture)];
      await deliver(a, b, Uint8Array.of(1));
      await deliver(other, b, Uint8Array.of(1));
      b.judge = (frame) => frame[0] !== 66;
      for (let n = 0; n < 3; n++) {
        await deliver(a, b, Uint8Array.of(66, n));
        await deliver(a, b, Uint8Array.of(2, n));
        await deliver(b, a, Uint8Array.of(3, n));
        await deliver(other, b, Uint8Array.of(4, n));
      }
    },
  },
  {
    name: "a frame for a node that is not there is lost, and nothing else is",
    async run(fixture) {
      const [a, b] = [await open(fixture), await open(fixture)];
      const gone = await open(fixture);
      await deliver(a, gone, Uint8Array.of(1));
      await gone.link.close();
      for (const address of ["", "nowhere", "127.0.0.1:1", "127.0.0.1:99999999", "a:b:c", "🛫"]) {
        a.link.send({ incarnation: `no-one-at-${address}`, address }, Uint8Array.of(2));
      }
      a.link.send(gone, Uint8Array.of(2));
      await deliver(a, b, Uint8Array.of(3));
      equal(gone.all.length, 1);
    },
  },
  {
    name: "nothing is received after close",
    async run(fixture) {
      const [a, b, c] = [await open(fixture), await open(fixture), await open(fixture)];
      // Once with a connection that the closing side made, once with one that it was called by.
      await deliver(a, b, Uint8Array.of(1));
      await deliver(b, a, Uint8Array.of(1));
      await deliver(c, a, Uint8Array.of(1));
      // So much that some of it is still under way when the port has closed.
      for (let n = 0; n < 20; n++) b.link.send(a, bytes(1_000_000, n));
      const closed = a.link.close();
      for (const from of [b, c]) for (let n = 0; n < 50; n++) from.link.send(a, bytes(1_000, n));
      await closed;
      const { length } = a.all;
      for (const from of [b, c]) for (let n = 0; n < 50; n++) from.link.send(a, bytes(1_000, n));
      await deliver(b, c, Uint8Array.of(2));
      await deliver(c, b, Uint8Array.of(2));
      equal(a.all.length, length);
    },
  },
  {
    name: "what was sent before close arrives, and what is sent afterwards does not",
    async run(fixture) {
      const [a, b, c] = [await open(fixture), await open(fixture), await open(fixture)];
      await deliver(a, b, Uint8Array.of(1));
      const last = bytes(1_000_000, 5);
      a.link.send(b, last);
      await a.link.close();
      a.link.send(b, Uint8Array.of(6));
      await waitUntil("the last frame has arrived", () => b.has(a, last));
      await deliver(c, b, Uint8Array.of(7));
      ok(!b.has(a, Uint8Array.of(6)));
    },
  },
  {
    name: "a port may be closed twice, and before it was opened",
    async run(fixture) {
      const [a, b] = [await open(fixture), await open(fixture)];
      const { link } = await fixture.join();
      await deliver(a, b, Uint8Array.of(1));
      await Promise.all([link.close(), a.link.close(), a.link.close()]);
      await a.link.close();
    },
  },
  {
    name: "a node that is forgotten takes no other with it",
    async run(fixture) {
      const [a, b, c] = [await open(fixture), await open(fixture), await open(fixture)];
      for (const to of [b, c]) await deliver(a, to, Uint8Array.of(1));
      a.link.forget(b.incarnation);
      a.link.forget("a node that never was");
      await deliver(a, c, Uint8Array.of(2));
      await deliver(c, a, Uint8Array.of(2));
    },
  },
];
