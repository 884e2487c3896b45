/** Whoever attacks a target: what he can do, and what must be true of every answer he gets. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { SECRET, TOKENS } from "./known.ts";
import type { Target } from "./process.ts";
import { type Heard, sendRaw } from "./raw.ts";

/** One attack: it fails when the target does not answer as it must. */
export interface Attack {
  readonly name: string;
  /** How many commands run in it that may; any other one is a breach. @default 0 */
  readonly runs?: number | "some";
  readonly run: (attacker: Attacker) => Promise<void>;
}

/** A request in parts, put together as they are. */
export interface Parts {
  readonly method?: string;
  readonly headers?: string;
  readonly body?: string | Uint8Array;
  /** Whose token; `undefined` for none. @default "ada" */
  readonly as?: keyof typeof TOKENS | undefined;
}

/** Nothing of the inside: secrets, tokens, stacks, places in files. */
const TELLS = new RegExp(
  [
    SECRET,
    ...Object.values(TOKENS),
    String.raw`\n\s+at `,
    String.raw`\.[jt]s\b`,
    "node_modules",
  ].join("|"),
);
const CRLF = "\r\n";

/** See the file's header. */
export class Attacker {
  readonly target: Target;

  constructor(target: Target) {
    this.target = target;
  }

  /** Sends bytes as they are. */
  async raw(bytes: string | Uint8Array): Promise<Heard> {
    const heard = await sendRaw(this.target.port, bytes);
    this.look(heard);
    return heard;
  }

  /** Asks for a path, which is sent as it is. */
  ask(path: string, parts: Parts = {}): Promise<Heard> {
    return this.raw(requestOf(path, parts));
  }

  /** The answer is a problem of that status and code. */
  async refused(status: number, code: string, asked: Promise<Heard>): Promise<Heard> {
    const heard = await asked;
    const found = /"code":"(\w+)"/.exec(heard.body)?.[1];
    deepEqual([heard.status, found], [status, code], heard.text);
    match(heard.head, /content-type: application\/problem\+json/i);
    return heard;
  }

  /** Whatever was answered tells nothing of the inside. */
  look({ text }: Heard): void {
    ok(!TELLS.test(text), `An answer tells of the inside: ${text}`);
  }
}

/** A request as bytes; the connection closes after it. */
export function requestOf(path: string, parts: Parts): Buffer {
  const { method = "GET", headers = "", body } = parts;
  const token = "as" in parts ? parts.as && TOKENS[parts.as] : TOKENS.ada;
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  const lines = [
    `${method} ${path} HTTP/1.1`,
    "Host: localhost",
    "Connection: close",
    ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
    ...(bytes === undefined ? [] : [`Content-Length: ${bytes.length}`]),
    ...(bytes !== undefined && !/^content-type/im.test(headers) ? [JSON_TYPE] : []),
    ...(headers === "" ? [] : [headers.trimEnd()]),
  ];
  return Buffer.concat([Buffer.from(lines.join(CRLF) + CRLF + CRLF), bytes ?? Buffer.alloc(0)]);
}

const JSON_TYPE = "Content-Type: application/json";

/** Runs an attack; afterwards nothing has happened, and an honest caller is served. */
export async function attack(target: Target, { run, runs = 0 }: Attack): Promise<void> {
  const before = await target.figures();
  const attacker = new Attacker(target);
  await run(attacker);
  const { ran, ranForbidden, isPolluted } = await target.figures();
  deepEqual({ ranForbidden, isPolluted }, { ranForbidden: 0, isPolluted: false });
  if (runs !== "some") equal(ran - before.ran, runs, "so many commands ran");
  await expectServed(target);
}

/** An honest caller is served. */
export async function expectServed(target: Target): Promise<void> {
  const attacker = new Attacker(target);
  const asked = { method: "POST", body: '{"name":"Ada"}' };
  const { status, body } = await attacker.ask("/messages/greet", asked);
  deepEqual([status, body], [200, '"Hello Ada"']);
  equal((await attacker.ask("/healthz/live", { as: undefined })).status, 200);
}
