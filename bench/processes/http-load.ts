/**
 * A caller of HTTP in a process of its own: for each line `{ port, path, count }` on its stdin it
 * posts `count` messages to `path` with `*` for the id, and says `{ latenciesMs }`. With
 * `perSecond` it does not wait for answers (see `open-loop.ts`) and times every request, else
 * every 64th.
 *
 * Bare sockets that are kept, one request at a time on each: it must take less of a processor than
 * any server it asks.
 */
import { connect, type Socket } from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";
import { inFlight } from "../measure/in-flight.ts";
import { openLoop } from "../measure/open-loop.ts";
import { say } from "../parent.ts";
import { payload } from "./echo.ts";

/** What is asked for. */
export interface HttpLoad {
  readonly port: number;
  /** With `*` for the id. */
  readonly path: string;
  readonly count: number;
  readonly perSecond?: number;
}

const CONNECTIONS = 64;
const ENTITIES = 1_000;
const ids = Array.from({ length: ENTITIES }, (_, n) => `echo-${n}`);
/** Connections of each port that have nothing to do. */
const pools = new Map<number, Connection[]>();

for await (const line of createInterface({ input: process.stdin })) {
  const { port, path, count, perSecond } = JSON.parse(line) as HttpLoad;
  if (!pools.has(port)) pools.set(port, await opened(port));
  const idle = pools.get(port)!;
  const call = callerOf(idle, path.split("*"));
  if (perSecond === undefined) {
    const latenciesMs: number[] = [];
    await inFlight(CONNECTIONS, call)(count, latenciesMs);
    say({ latenciesMs });
  } else {
    const forMs = (count / perSecond) * 1_000;
    say({ latenciesMs: Array.from(await openLoop({ perSecond, forMs }, call)) });
  }
}
for (const connection of [...pools.values()].flat()) connection.close();

function opened(port: number): Promise<Connection[]> {
  return Promise.all(Array.from({ length: CONNECTIONS }, () => Connection.open(port)));
}

/** Calls take a connection that is idle, or wait for one. */
function callerOf(idle: Connection[], [before, after]: string[]): (n: number) => Promise<void> {
  const waiting: ((connection: Connection) => void)[] = [];
  return async (n) => {
    const connection =
      idle.pop() ?? (await new Promise<Connection>((resolve) => waiting.push(resolve)));
    const { from, to, amount, text } = payload(n);
    const json = JSON.stringify({ from, to, amount, text });
    await connection.post(
      `POST ${before}${ids[n % ENTITIES]}${after} HTTP/1.1\r\nHost: 127.0.0.1\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${json.length}\r\n\r\n${json}`,
    );
    const next = waiting.shift();
    if (next === undefined) idle.push(connection);
    else next(connection);
  };
}

/** One connection, kept open, with at most one request at a time. */
class Connection {
  readonly #socket: Socket;
  #received = "";
  #answered: { resolve(): void; reject(error: Error): void } | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => this.#take(text));
    socket.on("close", () => this.#answered?.reject(new Error("the server closed a connection")));
  }

  static open(port: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port, noDelay: true });
      socket.once("connect", () => resolve(new Connection(socket)));
      socket.once("error", reject);
    });
  }

  /** Resolves with the answer, which must be 200. */
  post(request: string): Promise<void> {
    this.#socket.write(request);
    return new Promise((resolve, reject) => (this.#answered = { resolve, reject }));
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(text: string): void {
    this.#received += text;
    if (!isWhole(this.#received)) return;
    const received = this.#received;
    const answered = this.#answered;
    this.#received = "";
    this.#answered = undefined;
    if (received.startsWith("HTTP/1.1 200 ")) answered?.resolve();
    else answered?.reject(new Error(`Cannot go on: the server answered ${received}`));
  }
}

/** Every server of the bench says how long a body is. */
function isWhole(received: string): boolean {
  const end = received.indexOf("\r\n\r\n");
  if (end === -1) return false;
  const length = /\r\ncontent-length: (\d+)/i.exec(received)?.[1];
  if (length === undefined) throw new Error(`Cannot go on: no Content-Length in ${received}`);
  return received.length >= end + 4 + Number(length);
}
