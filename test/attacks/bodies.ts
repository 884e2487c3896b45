/** Bodies that are wrong, too large, too deep, or reach for prototypes. */
import { equal, ok } from "node:assert/strict";
import type { Attack, Attacker } from "./attacker.ts";

const DEPOSIT = "/entities/account/b/deposit";
const ECHO = "/entities/account/b/echo";
const GREET = "/messages/greet";
const DEEP = 100_000;

const MALFORMED = [
  '{"a":',
  "hello",
  " ",
  "[]",
  "[1]",
  "null",
  "1",
  '"a"',
  "{}{}",
  "{'a':1}",
  "\0",
  '{"a":NaN}',
  '{"a":1,}',
  '{"a":"\n"}',
  "{",
  "<a/>",
  "a=1&b=2",
  "﻿﻿{}",
];

const POLLUTING = [
  '{"__proto__":{"polluted":1}}',
  '{"\\u005f_proto__":{"polluted":1}}',
  '{"\\u005f\\u005fproto\\u005f\\u005f":{"polluted":1}}',
  '{"amount":1,"__proto__":null}',
  '{"a":[{"b":{"__proto__":{"polluted":1}}}]}',
  '{"constructor":{"prototype":{"polluted":1}}}',
  '{"a":{"constructor":{"prototype":{"polluted":1}}}}',
  '{"a":[[[{"constructor":{"prototype":{}}}]]]}',
];

const TYPES = [
  "text/plain",
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=b",
  "application/jsonp",
  "application/json-patch+json",
  "text/json",
  "application/javascript",
  "application/msgpack",
  "a",
  ",application/json",
];

/** See the file's header. */
export const BODIES: readonly Attack[] = [
  {
    name: "bodies that are not JSON objects",
    async run(attacker) {
      for (const path of [DEPOSIT, GREET]) {
        for (const body of MALFORMED) await refused(attacker, path, body);
        await refused(attacker, path, Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d));
      }
    },
  },
  {
    name: "keys that reach for a prototype",
    async run(attacker) {
      for (const path of [DEPOSIT, GREET]) {
        for (const body of POLLUTING) await refused(attacker, path, body);
      }
      for (const field of ["__proto__=1", `payload=${encodeURIComponent(POLLUTING[0]!)}`]) {
        await attacker.refused(400, "MALFORMED", attacker.ask(`${ECHO}?${field}`));
      }
    },
  },
  {
    name: "a tag of another message",
    async run(attacker) {
      for (const body of [
        '{"type":"deposit"}',
        '{"\\u0074ype":"deposit"}',
        '{"type":"a","type":"b"}',
      ]) {
        await attacker.refused(400, "MALFORMED", attacker.ask(ECHO, { method: "POST", body }));
      }
    },
  },
  {
    name: "two keys of one name: the last counts",
    runs: 1,
    async run(attacker) {
      const body = '{"amount":1,"amount":5}';
      const before = Number((await attacker.ask("/entities/account/b/balance")).body);
      const { body: balance } = await attacker.ask(DEPOSIT, { method: "POST", body });
      equal(Number(balance), before + 5);
    },
  },
  {
    name: `bodies nested ${DEEP} deep`,
    async run(attacker) {
      const arrays = `{"a":${"[".repeat(DEEP)}${"]".repeat(DEEP)}}`;
      const objects = `${'{"a":'.repeat(DEEP / 3)}1${"}".repeat(DEEP / 3)}`;
      for (const body of [arrays, objects, "[".repeat(DEEP), '{"a":'.repeat(DEEP / 3)]) {
        for (const path of [DEPOSIT, ECHO, GREET]) {
          const { status, text } = await attacker.ask(path, { method: "POST", body });
          equal(status, 400, text);
        }
      }
      const payload = `{"a":${"[".repeat(2_000)}${"]".repeat(2_000)}}`;
      equal((await attacker.ask(`${ECHO}?payload=${payload}`)).status, 400);
    },
  },
  {
    name: "an answer nested as deep",
    async run(attacker) {
      const asked = attacker.ask("/entities/account/b/deep");
      await attacker.refused(500, "REPLY_NOT_ENCODABLE", asked);
    },
  },
  {
    name: "a handler that fails",
    async run(attacker) {
      const asked = attacker.ask("/entities/account/b/crash", { method: "POST" });
      await attacker.refused(500, "HANDLER_FAILED", asked);
    },
  },
  {
    name: "wrong types and codings",
    async run(attacker) {
      for (const type of TYPES) {
        const headers = `Content-Type: ${type}`;
        const asked = attacker.ask(DEPOSIT, { method: "POST", headers, body: "{}" });
        await attacker.refused(415, "MALFORMED", asked);
      }
      for (const coding of ["gzip", "deflate", "br", "zstd", "identity, gzip"]) {
        const headers = `Content-Encoding: ${coding}`;
        const asked = attacker.ask(DEPOSIT, { method: "POST", headers, body: "{}" });
        await attacker.refused(415, "MALFORMED", asked);
      }
    },
  },
  {
    name: "10 MB with a length",
    async run(attacker) {
      const body = new Uint8Array(10_000_000);
      const { status } = await attacker.ask(DEPOSIT, { method: "POST", body });
      // Who does not read while he sends may see the connection end first.
      ok([0, 413].includes(status), `${status}`);
    },
  },
  {
    name: "10 MB from somebody who is nobody",
    async run(attacker) {
      const body = new Uint8Array(10_000_000);
      const { status } = await attacker.ask(DEPOSIT, { method: "POST", body, as: undefined });
      ok([0, 401].includes(status), `${status}`);
    },
  },
  {
    name: "numbers and characters at their limits",
    async run(attacker) {
      for (const value of [
        "1e999",
        "-1e999",
        "-0",
        "1e-999",
        "9".repeat(400),
        '"\\ud800"',
        '"\\u0000"',
      ]) {
        const { status, text } = await attacker.ask(ECHO, {
          method: "POST",
          body: `{"n":${value}}`,
        });
        ok([200, 400, 422].includes(status), `${value}: ${text}`);
      }
    },
  },
  {
    name: "40,000 keys",
    async run(attacker) {
      const keys = Array.from({ length: 20_000 }, (_, n) => `"k${n}":${n}`).join(",");
      const { status } = await attacker.ask(ECHO, { method: "POST", body: `{${keys}}` });
      ok(status < 500, `${status}`);
      const fields = Array.from({ length: 1_000 }, (_, n) => `f${n}=1`).join("&");
      equal((await attacker.ask(`${ECHO}?${fields}`)).status, 200);
    },
  },
];

async function refused(attacker: Attacker, path: string, body: string | Uint8Array): Promise<void> {
  await attacker.refused(400, "MALFORMED", attacker.ask(path, { method: "POST", body }));
}
