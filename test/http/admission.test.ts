import { describe, expect, test } from "bun:test";
import { Rate } from "../../src/http/admission.ts";
import { bearer, gateway, type GatewayLimits } from "../../src/http/index.ts";
import { Account, problemOf, refusalOf } from "./served.ts";

const BALANCE = "/entities/account/1/balance";
const ada = { headers: { Authorization: "Bearer token-of-ada-1234" } };
const bob = { headers: { Authorization: "Bearer token-of-bob-1234" } };
const auth = bearer({ ada: "token-of-ada-1234", bob: "token-of-bob-1234" });

const health = () => ({ ready: true, reasons: [] });

/** A gateway whose calls wait until `answer` is called. */
function waiting(limits: Partial<GatewayLimits>, open?: "open") {
  const waits: (() => void)[] = [];
  const send = () => new Promise<number>((resolve) => waits.push(() => resolve(1)));
  const cluster = { beforeStop() {}, entity: () => ({ send }), nodes: [], health } as never;
  const options = { expose: [Account], limits };
  const app = gateway(cluster, open ? options : { ...options, auth });
  return {
    ask: (path: string, init?: RequestInit) => Promise.resolve(app.request(path, init)),
    /** Ends all calls that were made. */
    async answer(asked: Promise<Response>[]) {
      // What arrived has been sent by then: nothing before it waits for anybody outside.
      await new Promise((resolve) => setImmediate(resolve));
      for (const end of waits.splice(0)) end();
      return Promise.all(asked.map(async (each) => (await each).status));
    },
  };
}

const overloaded = [429, "OVERLOADED"] as const;

describe("requests under way", () => {
  test("are limited for each identity, and the places come back", async () => {
    const edge = waiting({ requestsPerIdentityMax: 2 });
    for (let round = 0; round < 3; round++) {
      const asked = [edge.ask(BALANCE, ada), edge.ask(BALANCE, ada)];
      const third = edge.ask(BALANCE, ada);
      const other = edge.ask(BALANCE, bob);
      expect(await edge.answer([...asked, other])).toEqual([200, 200, 200]);
      expect((await third).headers.get("Retry-After")).toBe("1");
      expect(await refusalOf(await third)).toEqual(overloaded);
    }
  });
  test("are limited for all together", async () => {
    const edge = waiting({ requestsMax: 3 });
    const asked = [edge.ask(BALANCE, ada), edge.ask(BALANCE, ada), edge.ask(BALANCE, bob)];
    const fourth = edge.ask(BALANCE, bob);
    expect((await edge.ask("/healthz/live")).status).toBe(200);
    expect(await edge.answer(asked)).toEqual([200, 200, 200]);
    expect(await problemOf(await fourth)).toMatchObject({
      status: 429,
      detail: "Cannot take more requests at once: there are 3",
      retryable: true,
    });
    expect(await edge.answer([edge.ask(BALANCE, bob)])).toEqual([200]);
  });
  test("are limited for all together where nobody logs in", async () => {
    const edge = waiting({ requestsMax: 2, requestsPerIdentityMax: 1 }, "open");
    const asked = [edge.ask(BALANCE), edge.ask(BALANCE)];
    const third = edge.ask(BALANCE);
    expect(await edge.answer(asked)).toEqual([200, 200]);
    expect(await refusalOf(await third)).toEqual(overloaded);
  });
  test.each([
    ["of nobody", undefined, "open"],
    ["of strangers", undefined, undefined],
    ["of somebody known", ada, undefined],
  ] as const)("do not count those for the health, %s, nor are these limited", async (...given) => {
    const [, init, open] = given;
    const limits = { requestsMax: 1, requestsPerIdentityMax: 1, requestsPerSecondMax: 1 };
    const edge = waiting(limits, open);
    const probes = (): Promise<Response>[] =>
      ["/healthz/ready", "/healthz/live"].flatMap((path) =>
        Array.from({ length: 40 }, () => edge.ask(path, init)),
      );
    const before = probes();
    const asked = edge.ask(BALANCE, ada);
    const refused = edge.ask(BALANCE, ada);
    for (const probe of await Promise.all([...before, ...probes()])) {
      expect([probe.status, probe.headers.get("Retry-After")]).toEqual([200, null]);
      expect(probe.headers.get("Content-Type")).toBe("application/json");
    }
    expect(await edge.answer([asked])).toEqual([200]);
    expect((await refused).status).toBe(429);
  });
  test("are over when they are refused", async () => {
    const edge = waiting({ requestsMax: 1, requestsPerIdentityMax: 1 });
    for (const path of ["/nowhere", "/entities/hidden/1/ping", `${BALANCE}?type=1`, "/nowhere"]) {
      expect((await edge.ask(path, ada)).status).not.toBe(429);
      expect((await edge.ask(path)).status).toBe(401);
    }
  });
});

describe("requests in a second", () => {
  test("are limited for each identity by the gateway", async () => {
    const edge = waiting({ requestsPerSecondMax: 3 });
    const statuses = await edge.answer(Array.from({ length: 30 }, () => edge.ask(BALANCE, ada)));
    expect(statuses.slice(0, 3)).toEqual([200, 200, 200]);
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(20);
    expect(await edge.answer([edge.ask(BALANCE, bob)])).toEqual([200]);
  });
  test("are limited for all who are nobody as for one", async () => {
    const edge = waiting({ requestsPerSecondMax: 1 }, "open");
    const statuses = await edge.answer(Array.from({ length: 30 }, () => edge.ask(BALANCE)));
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(20);
  });
  test.each([1, 7, 1_000, 30_000])("%d: so many at once, then one by one", (max) => {
    const clock = { nowMs: 1_000, now: () => clock.nowMs };
    const rate = new Rate(max, clock);
    const taken = (tries: number) =>
      Array.from({ length: tries }, () => rate.take("ada")).filter(Boolean).length;
    expect(taken(2 * max)).toBe(max);
    clock.nowMs += 1_000 / max;
    expect(taken(3)).toBe(1);
    clock.nowMs += 500;
    expect(taken(2 * max)).toBe(Math.floor(max / 2));
    clock.nowMs += 60_000;
    expect([taken(2 * max), rate.take("bob")]).toEqual([max, true]);
  });
});

describe("a URL", () => {
  test("longer than its limit is refused with 414, before anybody is asked who he is", async () => {
    const edge = waiting({ urlCharactersMax: 100 });
    const fits = "x".repeat(100 - "http://localhost/".length);
    expect((await edge.ask(`/${fits}`)).status).toBe(401);
    const response = await edge.ask(`/${fits}x`);
    expect(response.status).toBe(414);
    expect(await problemOf(response)).toMatchObject({
      code: "TOO_LARGE",
      detail: "Cannot send the URL: 101 bytes, at most 100",
    });
  });
});

describe("limits", () => {
  test.each([0, -1, Number.NaN, "many"])("%p is none", (limit) => {
    expect(() => waiting({ requestsMax: limit as number })).toThrow(RangeError);
    expect(() => waiting({ bodyBytesMax: limit as number })).toThrow("Cannot limit bodyBytesMax");
  });
  test("hold bodies to what is given", async () => {
    const edge = waiting({ bodyBytesMax: 10 });
    const headers = { ...ada.headers, "Content-Type": "application/json" };
    const response = await edge.ask(BALANCE, { method: "POST", headers, body: '{"n":12345}' });
    expect(await refusalOf(response)).toEqual([413, "TOO_LARGE"]);
  });
});
