/**
 * Opens connections and says nothing: `silent.ts <port> <count>`. Prints `open` when all are, and
 * `closed` when the other side has closed the last one.
 */
import { once } from "node:events";
import { connect } from "node:net";
import process from "node:process";

const [port, count] = process.argv.slice(2).map(Number);
/** Fewer than wait to be accepted: of those beyond, a server never hears. */
const BATCH = 200;

const closed: Promise<unknown>[] = [];
while (closed.length < count!) {
  const sockets = Array.from({ length: BATCH }, () => connect(port!, "127.0.0.1"));
  for (const socket of sockets) closed.push(once(socket.on("error", () => {}).resume(), "close"));
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  // Whoever is answered came after those who wait to be accepted.
  await fetch(`http://127.0.0.1:${port}/healthz/live`);
}
console.log("open");
await Promise.all(closed);
console.log("closed");
process.exit(0);
