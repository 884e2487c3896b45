import { describe, expect, test } from "bun:test";
import { type CatgaClientError, createClient, isClientError } from "../../src/client/index.ts";
import {
  command,
  defineCommand,
  defineContract,
  defineQuery,
  query,
} from "../../src/contract/index.ts";
import { failureOf } from "../drivers/nodes.ts";
import {
  breaks,
  hangs,
  type Reaction,
  refuses,
  replies,
  scripted,
  unreachable,
} from "./scripted.ts";

const Till = defineContract("till", {
  add: command<{ n: number }, number>(),
  slow: command<{ n: number }, number>({ timeout: "20s" }),
  total: query<void, number>(),
});
const Double = defineQuery<{ n: number }, number>("double");
const Note = defineCommand("note");
const URLS = ["http://one", "http://two", "http://three/base/"];
const busy = refuses(503, "UNAVAILABLE", { retryable: true, retryAfter: "1" });
const full = refuses(429, "MAILBOX_FULL", { retryable: true, retryAfter: "2" });
const late = refuses(504, "CALL_TIMEOUT");
const unknown = refuses(504, "OUTCOME_UNKNOWN");

type Options = Parameters<typeof scripted>[1];
type Sent = readonly ["add" | "total" | "double", { readonly [option: string]: unknown }?];

/** What came of a message: the value or the code, the requests it took, when each was sent. */
async function outcome(reactions: readonly Reaction[], sent: Sent, options?: Options) {
  const world = scripted(reactions, options);
  const till = world.api.entity(Till, "a/b");
  const [type, own] = sent;
  const sending =
    type === "double"
      ? world.api.send(Double({ n: 1 }), own)
      : type === "add"
        ? till.send({ type, n: 1 }, own)
        : till.send({ type }, own);
  const result = await world.settled(failing(sending));
  return { result, ...world, times: world.asked.map(({ atMs }) => atMs) };
}

/** The keys of the requests of a command that is sent twice. */
async function keys(options: Sent[1] & {}): Promise<unknown[]> {
  const { asked } = await outcome([busy, replies(1)], ["add", options]);
  return asked.map(({ headers }) => headers.get("Idempotency-Key"));
}

function failing(promise: Promise<unknown>): Promise<unknown> {
  return promise.catch((error: unknown) => {
    if (!isClientError(error)) throw error;
    return `${error.code} ${error.executed}`;
  });
}

describe("a request", () => {
  test("names entity, id and message, and carries the payload as JSON", async () => {
    const { result, asked } = await outcome([replies(3)], ["add"], { url: URLS, token: "t" });
    expect(result).toBe(3);
    const [request] = asked;
    // It carries a token, and is for nobody else.
    expect(request?.redirect).toBe("error");
    expect(request).toMatchObject({ url: "http://two/entities/till/a%2Fb/add", body: { n: 1 } });
    expect(Object.fromEntries(request?.headers ?? [])).toEqual({
      authorization: "Bearer t",
      "content-type": "application/json",
      "request-timeout-ms": "10000",
    });
  });
  test("has the token of its moment, and further headers", async () => {
    let token = 0;
    const options = {
      token: async () => `t${++token}`,
      headers: { "X-Tenant": "a" },
    };
    const { asked } = await outcome([busy, replies(1)], ["total"], options);
    expect(asked.map(({ headers }) => headers.get("Authorization"))).toEqual([
      "Bearer t1",
      "Bearer t2",
    ]);
    expect(asked[1]?.headers.get("X-Tenant")).toBe("a");
  });
  test("is not sent when the token fails", async () => {
    const world = scripted([], { token: () => Promise.reject(new Error("locked")) });
    const failure = failureOf(world.api.entity(Till, "1").send({ type: "total" }));
    expect(await world.settled(failure)).toEqual(new Error("locked"));
    expect(world.asked).toEqual([]);
  });
  test("has the time that is left: of the call, the message, or the client", async () => {
    const world = scripted([replies(1), replies(1), replies(1)], { timeout: "5s" });
    const till = world.api.entity(Till, "1");
    await till.send({ type: "slow", n: 1 });
    await till.send({ type: "slow", n: 1 }, { timeout: 70 });
    await till.send({ type: "total" });
    const times = world.asked.map(({ headers }) => headers.get("Request-Timeout-Ms"));
    expect(times).toEqual(["20000", "70", "5000"]);
  });
  test("says when nobody waits for what the message does", async () => {
    const world = scripted([() => new Response(null, { status: 202 })]);
    expect(await world.api.entity(Till, "1").tell({ type: "add", n: 1 })).toBeUndefined();
    expect(world.asked[0]?.headers.get("Prefer")).toBe("respond-async");
  });
  test.each(["", ".", "..", "\ud800"])(
    "is never sent for the id %p, which no URL holds",
    async (id) => {
      const world = scripted([]);
      const failure = await failureOf(world.api.entity(Till, id).send({ type: "total" }));
      expect(isClientError(failure, "INVALID_ID") && failure.executed).toBe("no");
    },
  );
  test.each([
    [{ type: "nope" }, "UNKNOWN_MESSAGE"],
    [{ type: "constructor" }, "UNKNOWN_MESSAGE"],
    [{ type: "add", n: Number.NaN }, "PAYLOAD_NOT_ENCODABLE"],
    [{ type: "add", n: new Date(0) }, "PAYLOAD_NOT_ENCODABLE"],
    [{ type: "add", n: "x".repeat(2_000_000) }, "TOO_LARGE"],
  ])("is never sent for what the cluster would refuse: %#", async (message, code) => {
    const till = scripted([]).api.entity(Till, "1");
    const failure = await failureOf(till.send(message as never));
    expect(isClientError(failure, code)).toBe(true);
  });
});

describe("what fails is sent again", () => {
  test("when it did not run, after the time that the edge wants", async () => {
    const { result, times } = await outcome([full, full, replies(1)], ["add"]);
    expect(result).toBe(1);
    // Two seconds, and three quarters of a backoff of 50 and 100 ms.
    expect(times).toEqual([0, 2_040, 4_115]);
  });
  test("at once where another edge was not asked yet", async () => {
    const { asked, times } = await outcome([busy, unreachable, busy, replies(1)], ["add"], {
      url: URLS,
    });
    expect(asked.map(({ url }) => new URL(url).host)).toEqual(["two", "three", "one", "two"]);
    expect(times).toEqual([0, 0, 0, 1_040]);
  });
  test("at one other edge, however many requests fail at one time", async () => {
    const { api, asked, settled } = scripted([unreachable, unreachable, replies(1), replies(1)], {
      url: URLS,
    });
    const till = api.entity(Till, "1");
    await settled(Promise.all([till.send({ type: "total" }), till.send({ type: "total" })]));
    const hosts = asked.map(({ url }) => new URL(url).host);
    expect(hosts).toEqual(["two", "two", "three", "three"]);
  });
  test("three times, unless it is said how often", async () => {
    const all = Array.from({ length: 9 }, () => unreachable);
    expect((await outcome(all, ["add"])).times).toHaveLength(4);
    expect((await outcome(all, ["add", { retries: 1 }])).times).toHaveLength(2);
    expect((await outcome(all, ["add"], { retries: 0 })).times).toHaveLength(1);
  });
  test("no later than its deadline", async () => {
    const { result, times } = await outcome([busy, busy, replies(1)], ["add", { timeout: "1.5s" }]);
    expect([result, times.length]).toEqual(["UNAVAILABLE no", 2]);
  });
  test.each([
    ["no answer", breaks],
    ["half of one", () => new Response('{"a', { headers: { "Content-Type": "application/json" } })],
    ["an edge that had no time", late],
    ["a proxy that lost its edge", () => new Response("<h1>", { status: 502 })],
    ["a proxy that is busy", () => new Response("<h1>", { status: 503 })],
  ])("if it may run twice, after %s", async (_, reaction) => {
    expect((await outcome([reaction, replies(1)], ["total"])).result).toBe(1);
    expect((await outcome([reaction, replies(1)], ["double"])).result).toBe(1);
    expect((await outcome([reaction, replies(1)], ["add", { retries: 2 }])).result).toBe(1);
    expect((await outcome([reaction, replies(1)], ["add", { idempotencyKey: "a" }])).result).toBe(
      1,
    );
    const once = await outcome([reaction, replies(1)], ["add"]);
    expect([once.result, once.asked.length]).toEqual([expect.stringMatching(/ maybe$/), 1]);
  });
  test("under one key, random or its caller's, and without one if nobody asked", async () => {
    expect(await keys({})).toEqual([null, null]);
    expect(await keys({ retries: 2 })).toEqual(Array(2).fill(`"${"k".repeat(26)}"`));
    expect(await keys({ idempotencyKey: "a b" })).toEqual(['"a b"', '"a b"']);
    expect(await keys({ idempotencyKey: "a", retries: 1 })).toEqual(['"a"', '"a"']);
  });
  test("under no key of the client's own where no entity would remember it", async () => {
    const { api, asked, settled } = scripted([busy, replies(1)]);
    await settled(api.send(Note(), { retries: 2 }));
    expect(asked.map(({ headers }) => headers.has("Idempotency-Key"))).toEqual([false, false]);
  });
  test("but for a command whose outcome the cluster does not know", async () => {
    const sent = ["add", { retries: 5 }] as const;
    const { result, asked } = await outcome([unknown, replies(1)], sent);
    expect([result, asked.length]).toEqual(["OUTCOME_UNKNOWN maybe", 1]);
    expect((await outcome([unknown, replies(1)], ["total"])).result).toBe(1);
  });
  test.each([
    ["422", refuses(422, "INVALID_PAYLOAD")],
    ["409", refuses(409, "INSUFFICIENT")],
    ["500", refuses(500, "HANDLER_FAILED")],
    ["200", () => new Response("<html>")],
    ["401", refuses(401, "UNAUTHENTICATED")],
  ])("but for what %s says, which would come again", async (_, reaction) => {
    for (const type of ["add", "total"] as const) {
      const { asked } = await outcome([reaction, replies(1)], [type, { retries: 5 }]);
      expect(asked).toHaveLength(1);
    }
  });
});

describe("a failure", () => {
  test("has what the edge says of it", async () => {
    const { api } = scripted([refuses(409, "INSUFFICIENT", { retryAfter: "3" })]);
    const failure = await failureOf(api.entity(Till, "1").send({ type: "add", n: 1 }));
    expect(failure as CatgaClientError).toMatchObject({
      name: "CatgaClientError",
      message: "It is INSUFFICIENT",
      code: "INSUFFICIENT",
      status: 409,
      retryable: false,
      requestId: "r-1",
      retryAfterMs: 3_000,
    });
  });
  test("knows a date in Retry-After", async () => {
    const retryAfter = new Date(4_000).toUTCString();
    const { api } = scripted([refuses(409, "LATER", { retryAfter })]);
    const failure = await failureOf(api.entity(Till, "1").send({ type: "add", n: 1 }));
    expect((failure as CatgaClientError).retryAfterMs).toBe(4_000);
  });
  test("may have run if any of its requests may", async () => {
    const { result } = await outcome([breaks, unreachable], ["add", { retries: 1 }]);
    expect(result).toBe("NETWORK_FAILED maybe");
    expect((await outcome([unreachable], ["add", { retries: 0 }])).result).toBe(
      "NETWORK_FAILED no",
    );
    const keyed = await outcome([breaks, full], ["add", { retries: 1 }]);
    expect(keyed.result).toBe("NETWORK_FAILED maybe");
  });
  test("comes at the deadline of all requests together", async () => {
    const { result, clock } = await outcome([busy, hangs], ["add", { timeout: "3s" }]);
    expect([result, clock.nowMs()]).toEqual(["CALL_TIMEOUT maybe", 3_000]);
  });
  test("comes at once when the caller's signal aborts, and lets the request go", async () => {
    const leaving = new AbortController();
    const { api, asked } = scripted([hangs]);
    const sent = failing(api.entity(Till, "1").send({ type: "total" }, { signal: leaving.signal }));
    await new Promise((resolve) => void setImmediate(resolve));
    leaving.abort();
    expect(await sent).toBe("CANCELLED maybe");
    expect(asked[0]?.signal.aborted).toBe(true);
    const signal = AbortSignal.abort();
    expect(await failing(api.entity(Till, "1").send({ type: "total" }, { signal }))).toBe(
      "CANCELLED no",
    );
    expect(asked).toHaveLength(1);
  });
  test("leaves no timer behind, and neither does an answer", async () => {
    for (const reaction of [replies(1), busy, hangs]) {
      const { clock } = await outcome([reaction], ["add", { retries: 0 }]);
      expect(clock.timerCount).toBe(0);
    }
  });
});

describe("options that make no sense are refused", () => {
  test.each([
    { url: [] },
    { url: "nope" },
    { url: "ftp://a" },
    { url: "http://u:p@a" },
    { url: "http://a?b" },
    { url: "http://a", timeout: "soon" },
    { url: "http://a", retries: -1 },
    { url: "http://a", retries: 1e6 },
  ])("of a client: %p", (options) => {
    expect(() => createClient(options as never)).toThrow(/^Cannot|Invalid URL|cannot be parsed/);
  });
  test.each([
    { idempotencyKey: "" },
    { idempotencyKey: "\u00e4" },
    { idempotencyKey: 'a"' },
    { idempotencyKey: "a".repeat(129) },
    { timeout: -1 },
    { retries: 0.5 },
  ])("of a call: %p", async (options) => {
    const { api, asked } = scripted([]);
    const failure = await failureOf(api.entity(Till, "1").send({ type: "total" }, options));
    expect(String(failure)).toMatch(/^(Type|Range)Error: Cannot use/);
    expect(asked).toEqual([]);
  });
});
