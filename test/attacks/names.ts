/** Ids and paths that mean something elsewhere: to a file system, a broker, a proxy. */
import { deepEqual, equal, ok } from "node:assert/strict";
import type { Attack } from "./attacker.ts";

/** Legal, though they look like something else: each is one id, and arrives as it was sent. */
const LEGAL = [
  "../../admin",
  "..\\..\\admin",
  "/etc/passwd",
  "a/b",
  "//",
  "*",
  ">",
  "a.>",
  "$JS.API.>",
  "$SYS.REQ",
  "_INBOX.x",
  "a b",
  "a:b",
  "{a}",
  "[a]",
  "a?b",
  "a#b",
  "a&b=c",
  "a;b",
  "a%b",
  "%2F",
  "%252F",
  "%00",
  "__proto__",
  "constructor",
  "toString",
  "'; DROP TABLE entities; --",
  "<script>alert(1)</script>",
  "${7*7}",
  "{{7*7}}",
  "`id`",
  "$(id)",
  "é",
  "e\u0301",
  "😀",
  "\u202etxt.exe",
  "\ufeff",
  "x".repeat(256),
];
/** Control characters, and what is no UTF-8. */
const ILLEGAL = [
  "%00",
  "a%00b",
  "%0A",
  "%0D%0A",
  "a%0D%0APUB%20x%203%0D%0Aabc",
  "%09",
  "%1B[2J",
  "%7F",
  "%C2%85",
  "%ff",
  "%C0%AF",
  "%C0%80",
  "%E0%80%AF",
  "%ED%A0%80",
  "%F5%80%80%80",
  "%",
  "%2",
  "%zz",
  "%u0041",
];
/** Paths that are none of the routes, however near. */
const NOWHERE = [
  "//entities/account/n/balance",
  "/entities//account/n/balance",
  "/entities/account//balance",
  "/entities/account/n/balance/",
  "/entities/account/n/balance//",
  "/entities/account/n%2Fbalance",
  "/Entities/account/n/balance",
  "/ENTITIES/account/n/balance",
  "/entities/account/n/balance/x",
  "/entities/account/n/balance;x=1",
  "/entities/account/n/balance.json",
  "/entities/Account/n/balance",
  "/entities/account%00/n/balance",
  "/entities/account%20/n/balance",
  "/entities/account/n/Balance",
  "/entities/account/n/balance%20",
  "/entities/account/n/balance%00",
  "/entities/account/n/__proto__",
  "/entities/account/n/constructor",
  "/entities/account/n/toString",
  "/entities/__proto__/n/toString",
  "/entities/constructor/n/name",
  "/entities/@account/n/balance",
  "/entities/%40greet/n/greet",
  "/entities/*/n/balance",
  "/entities/:name/n/balance",
  "/messages/__proto__",
  "/messages/constructor",
  "/messages/account",
  "/messages/@greet",
  "/messages/greet/",
  "/cluster/../../etc/passwd",
  "/.env",
  "/.git/config",
  "/index.html",
];
/** What needs no encoding, encoded: a proxy in front would judge another path. */
const DISGUISED = [
  "/%65ntities/account/n/balance",
  "/entities/%61ccount/n/balance",
  "/entities/account/n/b%61lance",
  "/entities/account/%6E/balance",
  "/cluster/%6eodes",
  "/%6Dessages/greet",
];

/** See the file's header. */
export const NAMES: readonly Attack[] = [
  {
    name: "ids that look like something else",
    async run(attacker) {
      for (const id of LEGAL) {
        const { status, text } = await attacker.ask(
          `/entities/account/${encodeURIComponent(id)}/echo`,
        );
        equal(status, 200, text);
        const body = text.slice(text.indexOf("\r\n\r\n") + 4);
        const reply = JSON.parse(Buffer.from(body, "latin1").toString()) as { id: string };
        deepEqual(reply.id, id);
      }
    },
  },
  {
    name: "ids with control characters, and what is no UTF-8",
    async run(attacker) {
      for (const id of ILLEGAL) {
        for (const path of [`/entities/account/${id}/balance`, `/cluster/owner/account/${id}`]) {
          await attacker.refused(400, "INVALID_ID", attacker.ask(path));
        }
      }
    },
  },
  {
    name: "ids that are too long",
    async run(attacker) {
      for (const id of ["x".repeat(257), "%C3%A9".repeat(129), "x".repeat(4_000)]) {
        await attacker.refused(414, "TOO_LARGE", attacker.ask(`/entities/account/${id}/balance`));
      }
      for (const bytes of [10_000, 20_000, 200_000]) {
        const { status } = await attacker.ask(`/entities/account/${"x".repeat(bytes)}/balance`);
        ok([0, 414, 431].includes(status), `${bytes}: ${status}`);
      }
    },
  },
  {
    name: "paths that are none of the routes",
    async run(attacker) {
      for (const path of NOWHERE) {
        for (const method of ["GET", "POST"]) {
          const { status, text } = await attacker.ask(path, { method });
          equal(status, 404, `${method} ${path}: ${text}`);
        }
      }
    },
  },
  {
    name: "paths in disguise",
    async run(attacker) {
      for (const path of DISGUISED) {
        await attacker.refused(400, "MALFORMED", attacker.ask(path));
      }
    },
  },
  {
    name: "steps upwards lead where they say, and not past who may go there",
    async run(attacker) {
      for (const up of ["..", "%2e%2e", ".%2e", "%2E."]) {
        const path = `/entities/account/n/${up}/${up}/vault/n/open`;
        const asked = attacker.ask(path, { method: "POST" });
        await attacker.refused(403, "FORBIDDEN", asked);
        const logged = attacker.ask(`/healthz/${up}/cluster/nodes`, { as: undefined });
        await attacker.refused(401, "UNAUTHENTICATED", logged);
      }
    },
  },
];
