/**
 * The process that has a broker: `broker.ts <nats|redis>`. It says `{ url, monitorPort }` when the
 * server takes connections, and starts it anew, without a word to the server, for each line on its
 * stdin: `{ downMs }` says how long nobody listened. It ends the server when its stdin ends, so the
 * server outlives neither a case that crashed nor one that was killed.
 */
import { createConnection } from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";
import { waitUntil } from "../../test/contracts/wait-until.ts";
import { NatsServer } from "../../test/drivers/nats-server.ts";
import { freePort } from "../../test/drivers/port.ts";
import { RedisServer } from "../../test/drivers/redis-server.ts";
import { say } from "../parent.ts";

const monitorPort = await freePort();
const server =
  process.argv[2] === "nats"
    ? await NatsServer.start(`http: "127.0.0.1:${monitorPort}"`)
    : await RedisServer.start();
say({ url: server.url, monitorPort });

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
while ((await lines.next()).done !== true) {
  await server.kill();
  const beganMs = performance.now();
  const answers = waitUntil("it listens", () => listens(Number(new URL(server.url).port)));
  const resumed = server.resume();
  await answers;
  say({ downMs: performance.now() - beganMs });
  await resumed;
}
await server.stop();

function listens(port: number): Promise<boolean> {
  const socket = createConnection({ host: "127.0.0.1", port });
  return new Promise<boolean>((resolve) => {
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
  }).finally(() => socket.destroy());
}
