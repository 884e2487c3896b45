import { describe, expect, test } from "bun:test";
import { bearer, gateway, type GatewayOptions } from "../../src/http/index.ts";
import type { Logger } from "../../src/index.ts";
import { Account, refusalOf } from "./served.ts";

const TOKEN = "c2VjcmV0LXNlY3JldA==";
const OTHER = "another.secret~token";
const ADA = { subject: "ada" };

const ask = (authorization?: string) =>
  new Request("http://here/", authorization === undefined ? {} : { headers: { authorization } });

describe("bearer()", () => {
  test("knows whoever has its one token", async () => {
    expect(await bearer(TOKEN)(ask(`Bearer ${TOKEN}`))).toEqual({ subject: "bearer" });
  });
  test("knows the subjects of a table, each by its token", async () => {
    const auth = bearer({ ada: TOKEN, bob: OTHER });
    expect(await auth(ask(`Bearer ${TOKEN}`))).toEqual(ADA);
    expect(await auth(ask(`Bearer ${OTHER}`))).toEqual({ subject: "bob" });
  });
  test("asks a function, of tokens by their form alone", async () => {
    const asked: string[] = [];
    const auth = bearer((token) => {
      asked.push(token);
      return Promise.resolve(token === "short" ? ADA : undefined);
    });
    expect(await auth(ask("Bearer short"))).toEqual(ADA);
    expect(await auth(ask("Bearer other"))).toBeUndefined();
    expect(await auth(ask("Bearer a b"))).toBeUndefined();
    expect(asked).toEqual(["short", "other"]);
  });
  test("reads the scheme in any case", async () => {
    expect(await bearer(TOKEN)(ask(`bEARER ${TOKEN}`))).toEqual({ subject: "bearer" });
  });
  test.each([
    undefined,
    "",
    "Bearer",
    "Bearer ",
    TOKEN,
    `Basic ${TOKEN}`,
    `Token ${TOKEN}`,
    `Bearer${TOKEN}`,
    `Bearer  ${TOKEN}`,
    `Bearer\t${TOKEN}`,
    `Bearer ${TOKEN}=`,
    `Bearer ${TOKEN.slice(0, -1)}`,
    `Bearer ${TOKEN.toUpperCase()}`,
    `Bearer ${TOKEN}x`,
    `Bearer x${TOKEN}`,
    `Bearer ${TOKEN} ${TOKEN}`,
    `Bearer ${TOKEN}, Bearer ${OTHER}`,
    `Bearer "${TOKEN}"`,
    `Bearer Bearer ${TOKEN}`,
    "Bearer ada",
    "Bearer undefined",
    "Bearer __proto__",
  ])("does not know %p", async (authorization) => {
    expect(await bearer({ ada: TOKEN, bob: OTHER })(ask(authorization))).toBeUndefined();
  });
  test("does not know who sends two such headers, though both are right", async () => {
    const request = ask(`Bearer ${TOKEN}`);
    request.headers.append("Authorization", `Bearer ${TOKEN}`);
    expect(await bearer(TOKEN)(request)).toBeUndefined();
  });
  test("refuses tokens that can be guessed or never match, without repeating them", () => {
    for (const token of ["", "fifteen-letters", "sixteen letters..", "sechzehn-Zeichen-ü"]) {
      expect(() => bearer({ ada: token })).toThrow(TypeError);
      expect(() => bearer({ ada: token })).toThrow('Cannot use the token of "ada": write');
      expect(() => bearer(token)).toThrow(
        /^Cannot use the token of "bearer": write at least 16 letters, digits or "-._~\+\/"$/,
      );
    }
    expect(() => bearer("sixteen-letters.")).not.toThrow();
  });
  test("refuses one token for two subjects", () => {
    expect(() => bearer({ ada: TOKEN, bob: TOKEN })).toThrow("Cannot tell two subjects apart");
  });
});

describe("a gateway with `auth`", () => {
  const sent: string[] = [];
  const cluster = {
    beforeStop() {},
    nodes: [],
    entity: (_: object, id: string) => ({ send: () => (sent.push(id), Promise.resolve(1)) }),
  } as never;
  const served = (options: Partial<GatewayOptions>) =>
    gateway(cluster, { expose: [Account], ...options });
  const headers = { Authorization: `Bearer ${TOKEN}` };
  const BALANCE = "/entities/account/1/balance";

  test("answers 401 on every route but /healthz, whether it is there or not", async () => {
    const app = served({ auth: bearer(TOKEN) });
    for (const path of [BALANCE, "/cluster/nodes", "/messages/a", "/nowhere", "/metrics"]) {
      const response = await app.request(path);
      expect(response.headers.get("WWW-Authenticate")).toBe("Bearer");
      expect(await refusalOf(response)).toEqual([401, "UNAUTHENTICATED"]);
    }
    expect((await app.request("/healthz/live")).status).toBe(200);
    expect((await app.request(BALANCE, { headers })).status).toBe(200);
  });
  test.each([null, true, "ada", {}, { subject: 1 }])(
    "lets nobody in whose identity is %p",
    async (identity) => {
      const app = served({ auth: () => identity as never });
      expect(await refusalOf(await app.request(BALANCE))).toEqual([401, "UNAUTHENTICATED"]);
    },
  );
  test.each(["throw", "reject"])("that %ss answers 500 without its text", async (how) => {
    const logged: object[] = [];
    const log = { error: (fields: object) => logged.push(fields) } as unknown as Logger;
    const failure = new Error("no database at 10.0.0.1");
    const auth = () => {
      if (how === "throw") throw failure;
      return Promise.reject(failure);
    };
    const response = await served({ auth, log }).request(BALANCE, { headers });
    expect(await response.clone().text()).not.toContain("10.0.0.1");
    expect(await refusalOf(response)).toEqual([500, "INTERNAL"]);
    expect(logged).toMatchObject([{ err: { cause: failure } }]);
    expect(JSON.stringify(logged)).not.toContain(TOKEN);
  });
  test("is told 404 for what is not exposed before anybody is asked whether he may", async () => {
    const asked: object[] = [];
    const authorize = (_: object, access: object) => asked.push(access) > 0;
    const app = served({ auth: bearer(TOKEN), authorize });
    for (const path of ["/entities/hidden/1/ping", "/entities/account/1/none", "/messages/none"]) {
      for (const method of ["GET", "POST", "PUT"]) {
        expect((await app.request(path, { method, headers })).status).toBe(404);
      }
    }
    expect(asked).toEqual([]);
  });
  test.each([
    ["says no", () => false],
    ["says something else", () => "yes"],
    ["throws", () => Promise.reject(new Error("no database"))],
  ])("runs nothing for whom `authorize` %s", async (_, authorize) => {
    sent.length = 0;
    const app = served({ auth: bearer(TOKEN), authorize: authorize as never });
    for (const path of [BALANCE, "/entities/account/1/deposit", "/cluster/nodes"]) {
      const method = path.endsWith("deposit") ? "POST" : "GET";
      const response = await app.request(path, { method, headers });
      expect(await refusalOf(response)).toEqual([403, "FORBIDDEN"]);
    }
    expect(sent).toEqual([]);
  });
});
