/** Event streams that nobody reads, as many as may be open. */
import { equal, ok } from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type Attack, type Attacker, expectServed, requestOf } from "./attacker.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { STREAMS } from "./known.ts";

/** Few enough to be accepted at once. */
const BATCH = 200;
/** Of 4 kB each: more than sockets, buffers and the stream itself hold back. */
const EVENTS = 250;
/** What a stream keeps, a server beside it, and what it is: a third of what was sent to each. */
const BYTES_PER_STREAM_MAX = 330_000;

/** See the file's header. */
export const UNREAD: Attack = {
  name: `${STREAMS} event streams that are not read`,
  async run(attacker) {
    const before = await attacker.target.figures("collect");
    const sockets = await openAll(attacker);
    const one = attacker.ask("/events?types=noise");
    await attacker.refused(429, "OVERLOADED", one);
    for (let count = 0; count < EVENTS; count++) {
      const { status } = await attacker.ask("/entities/account/e/shout");
      equal(status, 204);
    }
    await expectServed(attacker.target);
    const during = await attacker.target.figures("collect");
    const grownBytes = during.rssBytes - before.rssBytes;
    ok(grownBytes < STREAMS * BYTES_PER_STREAM_MAX, `it has grown by ${grownBytes} bytes`);
    for (const socket of sockets) socket.destroy();
    await waitUntil("there is room for another stream", async () => {
      const { socket, status } = await openOne(attacker);
      socket.destroy();
      return status === 200;
    });
  },
};

async function openAll(attacker: Attacker): Promise<Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < STREAMS) {
    const batch = Array.from({ length: BATCH }, () => openOne(attacker));
    for (const { socket, status } of await Promise.all(batch)) {
      equal(status, 200);
      sockets.push(socket);
    }
  }
  return sockets;
}

/** Reads the beginning of the answer, and no more. */
async function openOne({ target }: Attacker) {
  const socket = connect({ port: target.port, host: "127.0.0.1" });
  socket.on("error", () => {}).write(requestOf("/events?types=noise", {}));
  const [first] = (await once(socket, "data")) as [Buffer];
  socket.pause();
  return { socket, status: Number(first.toString().slice(9, 12)) };
}
