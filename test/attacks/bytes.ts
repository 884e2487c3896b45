/** Requests that break the rules of HTTP, as those that are smuggled past a proxy do. */
import { equal, match, ok } from "node:assert/strict";
import { type Attack, requestOf } from "./attacker.ts";
import { TOKENS } from "./known.ts";

const AUTHORIZED = `Authorization: Bearer ${TOKENS.ada}\r\n`;
const CLOSED = "Connection: close\r\n";
const START = "POST /entities/account/s/deposit HTTP/1.1\r\n";
const HEAD = `${START}Host: localhost\r\n${CLOSED}${AUTHORIZED}Content-Type: application/json\r\n`;
const CHUNKED = "\r\n2\r\n{}\r\n0\r\n\r\n";
const LENGTH = "Content-Length: 2\r\n\r\n{}";
const CODED = `${HEAD}Transfer-Encoding: chunked\r\n\r\n`;
const NOISE = Array.from({ length: 4_000 }, (_, n) => (n * n * 31 + n) % 256);

/** None of them runs anything, whatever comes back. */
const BROKEN: Readonly<Record<string, string>> = {
  "a length and chunks": `${HEAD}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX`,
  "chunks and a length": `${HEAD}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n${CHUNKED}`,
  "two lengths": `${HEAD}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} `,
  "a list of lengths": `${HEAD}Content-Length: 2, 2\r\n\r\n{}`,
  "a length with a plus": `${HEAD}Content-Length: +2\r\n\r\n{}`,
  "a length below zero": `${HEAD}Content-Length: -2\r\n\r\n{}`,
  "a hexadecimal length": `${HEAD}Content-Length: 0x2\r\n\r\n{}`,
  "a length with letters": `${HEAD}Content-Length: 2abc\r\n\r\n{}`,
  "an endless length": `${HEAD}Content-Length: 99999999999999999999\r\n\r\n{}`,
  "another coding": `${HEAD}Transfer-Encoding: xchunked\r\n${CHUNKED}`,
  "chunks inside another coding": `${HEAD}Transfer-Encoding: chunked, identity\r\n${CHUNKED}`,
  "chunks without a size": `${CODED}zz\r\n{}\r\n0\r\n\r\n`,
  "a chunk of an impossible size": `${CODED}fffffffffffffffff\r\n{}\r\n`,
  "a chunk with a sign": `${CODED}-2\r\n{}\r\n0\r\n\r\n`,
  "a space before the colon": `${HEAD}Transfer-Encoding : chunked\r\n${CHUNKED}`,
  "a space before a name": `${HEAD} X-A: 1\r\n${LENGTH}`,
  "a folded header": `${HEAD}X-A: 1\r\n 2\r\n${LENGTH}`,
  "a folded coding": `${HEAD}Transfer-Encoding:\r\n chunked\r\n${CHUNKED}`,
  "a header without a colon": `${HEAD}X-A\r\n${LENGTH}`,
  "a header without a name": `${HEAD}: 1\r\n${LENGTH}`,
  "lines that end in LF": (HEAD + LENGTH).replaceAll("\r", ""),
  "one line that ends in LF": `${HEAD}X-A: 1\nX-B: 2\r\n${LENGTH}`,
  "a line with CR inside": `${HEAD}X-A: 1\rX-B: 2\r\n${LENGTH}`,
  "NUL in a value": `${HEAD}X-A: 1\0\r\n${LENGTH}`,
  "NUL in a name": `${HEAD}X-\0A: 1\r\n${LENGTH}`,
  "no host": `${START}${CLOSED}${AUTHORIZED}${LENGTH}`,
  "two hosts": `${HEAD}Host: evil.example\r\n${LENGTH}`,
  "20 kB of one header": `${HEAD}X-A: ${"x".repeat(20_000)}\r\n${LENGTH}`,
  "200 kB of headers": `${HEAD}${"a:b\r\n".repeat(40_000)}${LENGTH}`,
  "a version that is none": `${HEAD.replace("HTTP/1.1", "HTTP/9.9")}${LENGTH}`,
  "a space in the path": `${HEAD.replace("/s/", "/s s/")}${LENGTH}`,
  "a tab in the path": `${HEAD.replace("/s/", "/s\ts/")}${LENGTH}`,
  "the beginning of HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "the beginning of TLS": `\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03${"a".repeat(64)}\r\n\r\n`,
  zeros: "\0".repeat(1_000) + "\r\n\r\n",
  noise: `${String.fromCharCode(...NOISE)}\r\n\r\n`,
};

const HOSTS = [
  "a/b",
  "a?b",
  "a#b",
  "u@h",
  "[::1",
  "%zz",
  "a:99999",
  "a:b",
  "a b",
  "a\\b",
  "<x>",
  "",
];

/** See the file's header. */
export const BYTES: readonly Attack[] = [
  ...Object.entries(BROKEN).map(([name, bytes]): Attack => ({
    name,
    async run(attacker) {
      const { status, answers } = await attacker.raw(bytes);
      ok([0, 400, 408, 411, 413, 431, 501, 505].includes(status), `${status}`);
      ok(answers <= 1, `${answers} answers`);
    },
  })),
  {
    name: "a host that is none",
    async run(attacker) {
      for (const host of HOSTS) {
        const path = "/aa/entities/account/h/deposit";
        const heard = await attacker.raw(
          `POST ${path} HTTP/1.1\r\nHost: ${host}\r\n${CLOSED}${AUTHORIZED}\r\n`,
        );
        // On Node.js and Deno an empty one is the address that was connected to.
        ok(heard.status === 400 || (host === "" && heard.status === 404), `${host}: ${heard.text}`);
      }
    },
  },
  {
    name: "a request inside a body",
    async run(attacker) {
      const inner = requestOf("/entities/account/s/deposit", { method: "POST", body: "{}" });
      const last = requestOf("/healthz/live", {});
      for (const method of ["GET", "POST", "PUT"]) {
        for (const path of ["/healthz/live", "/nowhere", "/entities/account/s/balance"]) {
          const headers = `Host: localhost\r\n${AUTHORIZED}Content-Length: ${inner.length}`;
          const outer = `${method} ${path} HTTP/1.1\r\n${headers}\r\n\r\n`;
          const { answers } = await attacker.raw(Buffer.concat([Buffer.from(outer), inner, last]));
          ok(answers <= 2, `${method} ${path}: ${answers} answers`);
        }
      }
    },
  },
  {
    name: "what follows a body that is longer than its length",
    async run(attacker) {
      const asking = HEAD.replace("/deposit", "/balance").replace(CLOSED, "");
      const { text, answers } = await attacker.raw(`${asking}${LENGTH}GARBAGE\r\n\r\n`);
      // Node.js has seen the garbage before the answer is there.
      match(text, /^HTTP\/1\.1 (?:200|400) /);
      ok(answers === 1 || / 400 /.test(text.slice(20)), text);
    },
  },
  {
    // Bun hangs up when a request comes before the one ahead of it is answered.
    name: "requests that do not wait for answers, each answered in order",
    runs: "some",
    async run(attacker) {
      const last = requestOf("/entities/account/s/deposit", { method: "POST", body: "{}" });
      const kept = Buffer.from(last.toString().replace(CLOSED, ""));
      const all = [...Array.from({ length: 99 }, () => kept), last];
      const { text } = await attacker.raw(Buffer.concat(all));
      const balances = Array.from(text.matchAll(/\r\n\r\n(\d+)(?=HTTP|$)/g), ([, n]) => Number(n));
      ok(balances.every((balance, index) => index === 0 || balance === balances[index - 1]! + 1));
    },
  },
  {
    name: "a host in the path is not the host",
    async run(attacker) {
      const { status, text } = await attacker.ask("http://evil.example/nowhere");
      equal(status, 404);
      match(text, /"instance":"\/nowhere"/);
    },
  },
];
