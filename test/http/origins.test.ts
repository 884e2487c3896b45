import { describe, expect, test } from "bun:test";
import { bearer, type CorsOptions, gateway, type GatewayOptions } from "../../src/http/index.ts";
import { FOREIGN } from "./foreign-origins.ts";
import { Account, refusalOf } from "./served.ts";

const HOME = "http://localhost";
const APP = "https://app.example";
const ECHO = "/entities/account/1/echo";

const ran: string[] = [];
const send = ({ type }: { readonly type: string }) => Promise.resolve(ran.push(type));
const cluster = { beforeStop() {}, nodes: [], entity: () => ({ send, tell: send }) } as never;
const served = (options: Partial<GatewayOptions> = {}) =>
  gateway(cluster, { expose: [Account], ...options });
const opened = (cors: Partial<CorsOptions> = {}) => served({ cors: { origins: [APP], ...cors } });

describe("a page of another site, without `cors`", () => {
  test.each([...FOREIGN, "", APP])("at %p runs nothing", async (origin) => {
    ran.length = 0;
    const bodies = ["", '{"n":1}', "n=1"];
    const types = ["text/plain", "application/x-www-form-urlencoded", "application/json", ""];
    for (const [body, type] of bodies.flatMap((each) => types.map((type) => [each, type]))) {
      const headers = { Origin: origin, ...(type && { "Content-Type": type }) };
      const response = await served().request(ECHO, { method: "POST", headers, body: body! });
      expect(await refusalOf(response)).toEqual([403, "FORBIDDEN"]);
      expect(response.headers.get("Access-Control-Allow-Origin")).toBeNull();
    }
    expect(ran).toEqual([]);
  });
  test.each(["cross-site", "same-site", "other", ""])(
    "runs nothing when the browser says it is %p",
    async (site) => {
      ran.length = 0;
      for (const origin of [HOME, undefined]) {
        const headers = { "Sec-Fetch-Site": site, ...(origin && { Origin: origin }) };
        const response = await served().request(ECHO, { method: "POST", headers });
        expect(await refusalOf(response)).toEqual([403, "FORBIDDEN"]);
      }
      expect(ran).toEqual([]);
    },
  );
  test("opens no socket", async () => {
    const headers = { Origin: APP, Upgrade: "websocket", Connection: "Upgrade" };
    const response = await served().request("/socket", { headers });
    expect(await refusalOf(response)).toEqual([403, "FORBIDDEN"]);
  });
  test("is given no permission to read, or to ask", async () => {
    for (const method of ["GET", "OPTIONS"]) {
      const response = await served().request(ECHO, { method, headers: { Origin: APP } });
      const names = [...response.headers.keys()];
      expect(names.filter((name) => name.startsWith("access-control"))).toEqual([]);
      expect(response.headers.get("Cross-Origin-Resource-Policy")).toBe("same-origin");
    }
  });
});

describe("whoever is no page of another site", () => {
  test.each([
    ["a program", {}],
    ["a page of this site", { Origin: HOME }],
    ["a page of this site behind TLS", { Origin: "https://localhost" }],
    [
      "a page of this site, by its browser",
      { Origin: "https://x", "Sec-Fetch-Site": "same-origin" },
    ],
    ["a user", { "Sec-Fetch-Site": "none" }],
  ])("%s is served", async (_, headers) => {
    for (const app of [served(), opened()]) {
      const response = await app.request(ECHO, { method: "POST", headers: { ...headers } });
      expect(response.status).toBe(200);
    }
  });
});

describe("with `cors`", () => {
  test("a named origin may send and read, and is told so", async () => {
    const headers = { Origin: APP, "Sec-Fetch-Site": "cross-site" };
    const response = await opened().request(ECHO, { method: "POST", headers });
    expect(response.status).toBe(200);
    expect(response.headers.get("Access-Control-Allow-Origin")).toBe(APP);
    expect(response.headers.get("Access-Control-Allow-Credentials")).toBeNull();
    expect(response.headers.get("Vary")).toBe("Origin");
    const exposed = response.headers.get("Access-Control-Expose-Headers");
    expect(exposed).toBe("ETag,Preference-Applied,Retry-After,X-Request-Id");
  });
  test("a named origin reads refusals too", async () => {
    const app = served({ cors: { origins: [APP] }, auth: bearer("x".repeat(16)) });
    const response = await app.request(ECHO, { headers: { Origin: APP } });
    expect(response.headers.get("Access-Control-Allow-Origin")).toBe(APP);
    expect(response.headers.get("Vary")).toBe("Origin");
    expect(await refusalOf(response)).toEqual([401, "UNAUTHENTICATED"]);
  });
  test("a browser is answered before anybody is asked who he is", async () => {
    const app = served({ cors: { origins: [APP] }, auth: bearer("x".repeat(16)) });
    const headers = { Origin: APP, "Access-Control-Request-Method": "POST" };
    const response = await app.request(ECHO, { method: "OPTIONS", headers });
    expect(response.status).toBe(204);
    expect(response.headers.get("Access-Control-Allow-Origin")).toBe(APP);
    expect(response.headers.get("Access-Control-Allow-Methods")).toBe("GET,HEAD,POST,PUT");
    expect(response.headers.get("Access-Control-Allow-Headers")).toContain("Idempotency-Key");
    expect(response.headers.get("Access-Control-Allow-Headers")).toContain("Authorization");
    expect(response.headers.get("Access-Control-Max-Age")).toBe("600");
    expect(response.headers.get("Vary")).toContain("Origin");
  });
  test.each([...FOREIGN, ""])("%p is not named", async (origin) => {
    ran.length = 0;
    for (const method of ["GET", "POST", "OPTIONS"]) {
      const app = opened({ credentials: true });
      const response = await app.request(ECHO, { method, headers: { Origin: origin } });
      expect(response.headers.get("Access-Control-Allow-Origin")).toBeNull();
      expect(response.headers.get("Vary")).toContain("Origin");
      if (method === "POST") expect(response.status).toBe(403);
    }
    // A GET reads, and its answer stays in the browser.
    expect(ran).toEqual(["echo"]);
  });
  test("cookies are allowed when that is asked for", async () => {
    const headers = { Origin: APP };
    const response = await opened({ credentials: true }).request(ECHO, { headers });
    expect(response.headers.get("Access-Control-Allow-Credentials")).toBe("true");
    expect(response.headers.get("Access-Control-Allow-Origin")).toBe(APP);
  });
  test.each([
    "*",
    "null",
    "app.example",
    `${APP}/`,
    `${APP}:443`,
    "https://*.example",
    "file://",
    "",
  ])("%p is no origin to be named", (origin) => {
    expect(() => opened({ origins: [APP, origin] })).toThrow(TypeError);
  });
});
