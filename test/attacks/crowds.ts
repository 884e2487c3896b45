/**
 * Callers that take their time, all at once: each holds a connection, and the target ends every one
 * of them by itself. That takes as long as `listen` lets them be silent, 6 to 12 seconds.
 */
import { equal, match, ok } from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { createInterface } from "node:readline";
import { type Attack, type Attacker, expectServed } from "./attacker.ts";
import { TOKENS } from "./known.ts";
import { start } from "./process.ts";
import { type Heard, talk } from "./raw.ts";

const SILENT = 5_200;
const PROCESSES = 2;
const BYTE_EVERY_MS = 1_000;

const START = "POST /entities/account/c/deposit HTTP/1.1\r\nHost: localhost\r\n";
const AUTHORIZED = `Authorization: Bearer ${TOKENS.ada}\r\nContent-Type: application/json\r\n`;
const CHUNK = `10000\r\n${"x".repeat(65_536)}\r\n`;

interface Slow {
  readonly name: string;
  readonly say: (socket: Socket) => void;
  /** What it is told before the connection ends: 0 for nothing. */
  readonly statuses: readonly number[];
}

const SLOW: readonly Slow[] = [
  { name: "a start without an end", say: trickle("POST /entiti"), statuses: [0, 400, 408] },
  {
    name: "a header each second",
    say: trickle(START, (second) => `X-${second}: 1\r\n`),
    statuses: [0, 408],
  },
  {
    name: "a body at a byte a second",
    say: trickle(`${START}${AUTHORIZED}Content-Length: 1000\r\n\r\n`),
    statuses: [0, 408],
  },
  {
    name: "a body in chunks of a byte a second",
    say: trickle(`${START}${AUTHORIZED}Transfer-Encoding: chunked\r\n\r\n`, () => "1\r\nx\r\n"),
    statuses: [0, 408],
  },
  {
    name: "a body that is shorter than its length",
    say: (socket) => void socket.write(`${START}${AUTHORIZED}Content-Length: 5\r\n\r\n{}`),
    statuses: [0, 408],
  },
  {
    name: "the length of 10 MB, and two bytes of them",
    say: (socket) => void socket.write(`${START}${AUTHORIZED}Content-Length: 10000000\r\n\r\n{}`),
    statuses: [413],
  },
  { name: "a body without an end", say: endless(AUTHORIZED), statuses: [413] },
  { name: "a body without an end, of nobody", say: endless(""), statuses: [401] },
  {
    name: "one request, and silence",
    say: (socket) => void socket.write("GET /healthz/live HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    statuses: [200],
  },
];

/** See the file's header. */
export const CROWD: Attack = {
  name: `${SILENT} silent connections, and ${SLOW.length} slow requests beside them`,
  async run(attacker) {
    const silent = Array.from({ length: PROCESSES }, () => silence(attacker, SILENT / PROCESSES));
    await Promise.all(silent.map(({ open }) => open));
    const slow = SLOW.map((each) => beSlow(attacker, each));
    await expectServed(attacker.target);
    await Promise.all([...slow, ...silent.map(({ closed }) => closed)]);
  },
};

/** A process whose connections say nothing. */
function silence({ target }: Attacker, count: number) {
  const child = start("bun", "silent.ts", String(target.port), String(count));
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const open = lines.next().then(({ value }) => equal(value, "open"));
  const ended = once(child, "exit");
  const closed = open
    .then(() => lines.next())
    .then(({ value }) => equal(value, "closed"))
    .then(() => ended);
  return { open, closed };
}

async function beSlow(attacker: Attacker, { name, say, statuses }: Slow): Promise<void> {
  const heard: Heard = await talk(attacker.target.port, say);
  attacker.look(heard);
  ok(statuses.includes(heard.status), `${name}: ${heard.text}`);
  ok(heard.answers <= 1, `${name}: ${heard.text}`);
  if (heard.status === 413) match(heard.body, /"code":"TOO_LARGE"/);
}

/** Says `start`, and then what `next` says each second until the connection ends. */
function trickle(first: string, next: (second: number) => string = () => "x") {
  return (socket: Socket): void => {
    socket.write(first);
    let second = 0;
    const timer = setInterval(() => socket.write(next(second++)), BYTE_EVERY_MS);
    socket.on("close", () => clearInterval(timer));
  };
}

/** Sends as fast as is read, and goes on after the answer. */
function endless(headers: string) {
  return (socket: Socket): void => {
    socket.write(`${START}${headers}Transfer-Encoding: chunked\r\n\r\n`);
    const more = (): void => {
      // Not one after the other: some runtimes report what they have only queued as written.
      if (!socket.destroyed && socket.write(CHUNK)) setImmediate(more);
    };
    socket.on("drain", more);
    more();
  };
}
