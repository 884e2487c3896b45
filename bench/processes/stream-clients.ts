/**
 * Holds event streams open over sockets of its own: `stream-clients.ts <port> <count>`. Says how
 * many have begun; then for each line on stdin it sends a command by HTTP whose event all streams
 * are given, and says how long that took until the last of them had it. Ends with its stdin.
 */
import { connect, type Socket } from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";
import { say } from "../parent.ts";

/** Fewer than wait to be accepted: of those beyond, a server may never hear. */
const AT_ONCE = 200;
const WATCH = "GET /watch/room/a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

const [port = 0, count = 0] = process.argv.slice(2).map(Number);
/** What no stream has said before is waited for: each push has a number of its own. */
let awaited = "event: @begun";
let arrived = 0;
let allCame = (): void => {};

const sockets = new Set<Socket>();
for (let opened = 0; opened < count; opened += AT_ONCE) {
  const few = Math.min(AT_ONCE, count - opened);
  await all(opened + few, () => {
    for (let i = 0; i < few; i++) open();
  });
}
say({ open: arrived });

let pushes = 0;
for await (const _ of createInterface({ input: process.stdin })) {
  const n = 1_000_000 + pushes++;
  awaited = `"n":${n}`;
  arrived = 0;
  const startedAtMs = performance.now();
  await all(count, () => sendPush(n));
  say({ tookMs: performance.now() - startedAtMs });
}
process.exit(0);

/** Resolves when so many streams have what is awaited. */
function all(wanted: number, begin: () => void): Promise<void> {
  return new Promise((resolve) => {
    allCame = () => {
      if (arrived === wanted) resolve();
    };
    begin();
  });
}

function open(): void {
  const socket = connect(port, "127.0.0.1", () => socket.write(WATCH));
  sockets.add(socket.setEncoding("latin1"));
  let tail = "";
  socket.on("data", (chunk: string) => {
    // An event may come in pieces.
    const text = tail + chunk;
    if (text.includes(awaited)) {
      tail = "";
      arrived++;
      allCame();
    } else tail = text.slice(-1_000);
  });
  socket.on("error", (error) => fail(error.message));
  socket.on("close", () => fail("a stream has ended"));
}

function sendPush(n: number): void {
  const body = JSON.stringify({ n });
  const socket = connect(port, "127.0.0.1");
  const head = "POST /entities/room/a/say HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n";
  const type = `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
  socket.on("error", (error) => fail(error.message)).resume();
  socket.on("connect", () => void socket.write(head + type + body));
}

/** Everything that goes wrong ends the bench, which would wait for ever. */
function fail(why: string): void {
  process.stderr.write(`Cannot hold ${count} streams: ${why}\n`);
  process.exit(1);
}
