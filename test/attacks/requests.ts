/** Requests that are well formed: wrong methods, wrong tokens, wrong sites. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { Attack, Attacker } from "./attacker.ts";
import { FOREIGN } from "../http/foreign-origins.ts";
import { APP, TOKENS } from "./known.ts";

const DEPOSIT = "/entities/account/a/deposit";
const BALANCE = "/entities/account/a/balance";

/** What answers to which method; any other method is answered 405, or 404 where nothing is. */
const ROUTES: readonly (readonly [path: string, answers: Readonly<Record<string, number>>])[] = [
  [DEPOSIT, { POST: 200 }],
  [BALANCE, { GET: 200, HEAD: 200, POST: 200 }],
  ["/entities/vault/a/open", { POST: 403 }],
  ["/entities/hidden/a/open", {}],
  ["/entities/account/a/none", {}],
  ["/entities/account/a", {}],
  ["/messages/greet", { POST: 200 }],
  ["/messages/none", {}],
  ["/cluster/nodes", { GET: 200, HEAD: 200 }],
  ["/cluster/owner/account/a", { GET: 200, HEAD: 200 }],
  ["/cluster/owner/hidden/a", { GET: 404, HEAD: 404 }],
  ["/cluster/ring", { GET: 200, HEAD: 200 }],
  ["/healthz/live", { GET: 200, HEAD: 200 }],
  ["/watch/vault/a", { GET: 403, HEAD: 403 }],
  ["/watch/hidden/a", { GET: 404, HEAD: 404 }],
  ["/events?types=none", { GET: 404, HEAD: 404 }],
  // Management may only read.
  ["/cluster/drain", {}],
  ["/", {}],
  ["/nowhere", {}],
];
const KNOWN = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "QUERY", "PROPFIND"];
/** Of these, servers and runtimes make what they like, but no call. */
const STRANGE = ["CONNECT", "PRI", "get", "FOO", "constructor", "__proto__", "GET\t", "\0", ""];

const UNKNOWN_TOKENS = [
  "",
  "Authorization: Bearer",
  "Authorization: Bearer ",
  "Authorization: ada",
  `Authorization: ${TOKENS.ada}`,
  `Authorization: Basic ${TOKENS.ada}`,
  `Authorization: Token ${TOKENS.ada}`,
  `Authorization: Bearer: ${TOKENS.ada}`,
  `Authorization: Bearer  ${TOKENS.ada}`,
  `Authorization: Bearer ${TOKENS.ada}x`,
  `Authorization: Bearer x${TOKENS.ada}`,
  `Authorization: Bearer ${TOKENS.ada.slice(0, -1)}`,
  `Authorization: Bearer ${TOKENS.ada.slice(0, -1)}8`,
  `Authorization: Bearer ${TOKENS.ada.toUpperCase()}`,
  `Authorization: Bearer ${TOKENS.ada}=`,
  `Authorization: Bearer ${TOKENS.ada},`,
  `Authorization: Bearer ${TOKENS.ada}, Bearer ${TOKENS.ada}`,
  `Authorization: Bearer ${TOKENS.ada}\r\nAuthorization: Bearer ${TOKENS.ada}`,
  `Authorization: Bearer ${TOKENS.ada}\r\nAuthorization: Bearer ${TOKENS.bob}`,
  "Authorization: Bearer undefined",
  "Authorization: Bearer ada",
  "Authorization: Bearer __proto__",
  `Authorization: Bearer ${"x".repeat(8_000)}`,
  `Proxy-Authorization: Bearer ${TOKENS.ada}`,
  `X-Authorization: Bearer ${TOKENS.ada}`,
  `Cookie: Authorization=Bearer ${TOKENS.ada}; token=${TOKENS.ada}`,
];

/** The attacked edge is on 127.0.0.1, at another port. */
const SITES = [...FOREIGN, "http://127.0.0.1"];
/** What a page can send without asking first. */
const SIMPLE = [
  "text/plain",
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=b",
];

/** See the file's header. */
export const REQUESTS: readonly Attack[] = [
  { name: "every method on every route, logged in", runs: 1, run: everyMethod },
  {
    name: "every method on every route, logged out",
    async run(attacker) {
      for (const [path] of ROUTES) {
        for (const method of KNOWN) {
          const { status } = await attacker.ask(path, { method, as: undefined });
          const isHealth = path === "/healthz/live";
          equal(isHealth ? status !== 401 : status === 401, true, `${method} ${path}: ${status}`);
        }
      }
    },
  },
  {
    name: "methods that are none",
    async run(attacker) {
      for (const method of STRANGE) {
        const { status } = await attacker.ask(DEPOSIT, { method });
        ok([0, 400, 404, 405, 501, 505].includes(status), `${method}: ${status}`);
      }
    },
  },
  {
    name: "a method that overrides another one",
    async run(attacker) {
      for (const name of ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"]) {
        const { status } = await attacker.ask(`${DEPOSIT}?_method=POST`, {
          headers: `${name}: POST`,
        });
        equal(status, 405);
      }
    },
  },
  {
    name: "wrong, missing and almost right tokens",
    async run(attacker) {
      for (const headers of UNKNOWN_TOKENS) {
        const asked = attacker.ask(DEPOSIT, { method: "POST", as: undefined, headers });
        const { head } = await attacker.refused(401, "UNAUTHENTICATED", asked);
        match(head, /www-authenticate: bearer/i);
      }
      const inQuery = `${BALANCE}?access_token=${TOKENS.ada}&token=${TOKENS.ada}`;
      await attacker.refused(401, "UNAUTHENTICATED", attacker.ask(inQuery, { as: undefined }));
    },
  },
  {
    name: "somebody else's entities",
    async run(attacker) {
      for (const as of ["ada", "bob"] as const) {
        const asked = attacker.ask("/entities/vault/a/open", { method: "POST", as });
        await attacker.refused(403, "FORBIDDEN", asked);
      }
    },
  },
  {
    name: "pages of other sites",
    async run(attacker) {
      for (const site of SITES) {
        for (const type of SIMPLE) {
          const headers = `Origin: ${site}\r\nContent-Type: ${type}`;
          const asked = attacker.ask(DEPOSIT, { method: "POST", headers, body: '{"amount":1}' });
          noPermission(await attacker.refused(403, "FORBIDDEN", asked));
        }
        const headers = `Origin: ${site}`;
        const empty = attacker.ask(DEPOSIT, { method: "POST", headers });
        noPermission(await attacker.refused(403, "FORBIDDEN", empty));
        const read = await attacker.ask(BALANCE, { headers });
        deepEqual([read.status, noPermission(read)], [200, undefined]);
        noPermission(await attacker.ask(DEPOSIT, { method: "OPTIONS", headers }));
      }
    },
  },
  {
    name: "pages of other sites in browsers that say so",
    async run(attacker) {
      for (const site of ["cross-site", "same-site", "Same-Origin", "evil", ""]) {
        for (const origin of ["", "Origin: http://localhost\r\n"]) {
          const headers = `${origin}Sec-Fetch-Site: ${site}`;
          const asked = attacker.ask(DEPOSIT, { method: "POST", headers });
          await attacker.refused(403, "FORBIDDEN", asked);
        }
      }
    },
  },
  {
    name: "a page that may, and one that only looks like it",
    runs: 1,
    async run(attacker) {
      const may = await attacker.ask(DEPOSIT, { method: "POST", headers: `Origin: ${APP}` });
      equal(may.status, 200);
      match(may.head, /access-control-allow-origin: https:\/\/app\.example\r/i);
      const headers = `Origin: ${APP}\r\nOrigin: https://evil.example`;
      const both = await attacker.ask(DEPOSIT, { method: "POST", headers });
      equal(both.status, 403);
    },
  },
  {
    name: "headers with nonsense",
    async run(attacker) {
      for (const header of [
        "Request-Timeout-Ms: 1e3",
        "Request-Timeout-Ms: -1",
        "Idempotency-Key: ",
      ]) {
        const long = `Idempotency-Key: ${"k".repeat(129)}`;
        for (const headers of [header, long, "Idempotency-Key: k\xff"]) {
          const asked = attacker.ask(DEPOSIT, { method: "POST", headers });
          await attacker.refused(400, "MALFORMED", asked);
        }
      }
      const hostile = ["<script>", "../../etc/passwd", "a b", "x".repeat(256), "${jndi:ldap://x}"];
      for (const id of hostile) {
        const { head } = await attacker.ask(BALANCE, { headers: `X-Request-Id: ${id}` });
        match(head, /x-request-id: [\da-f-]{36}\r/i);
      }
    },
  },
];

async function everyMethod(attacker: Attacker): Promise<void> {
  for (const [path, answers] of ROUTES) {
    for (const method of KNOWN) {
      const { status, head } = await attacker.ask(path, { method });
      const expected = answers[method] ?? (Object.keys(answers).length > 0 ? 405 : 404);
      equal(status, expected, `${method} ${path}`);
      if (status === 405) match(head, /^allow: [A-Z, ]+\r/im);
    }
    // What a browser asks before it sends. It is answered to everybody, and allows nothing.
    const { status } = await attacker.ask(path, { method: "OPTIONS" });
    equal(status, 204, `OPTIONS ${path}`);
  }
}

function noPermission({ head }: { readonly head: string }): undefined {
  ok(!/access-control-allow-origin/i.test(head), head);
}
