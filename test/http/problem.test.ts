import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { gateway } from "../../src/http/index.ts";
import {
  Cluster,
  CatgaError,
  defineCommand,
  type ErrorCode,
  type ErrorDetails,
  handler,
  type Logger,
} from "../../src/index.ts";
import { Account, gate, problemOf, refusalOf, serve, type Served } from "./served.ts";

const Vote = defineCommand("vote", { route: { strategy: "broadcast", quorum: 2 } });

const logged: { readonly fields: object; readonly message: string }[] = [];
const log: Logger = {
  debug() {},
  info() {},
  warn() {},
  error: (fields, message) => logged.push({ fields, message }),
};

let edge: Served;
beforeAll(async () => {
  edge = await serve(log);
});
afterAll(() => edge.stop());

describe("a problem", () => {
  test("has all its fields", async () => {
    const headers = { "X-Request-Id": "r-1" };
    const response = await edge.ask("/entities/account/a%2Fb/none?x=1", { headers });
    expect(response.status).toBe(404);
    expect(await problemOf(response)).toEqual({
      type: "urn:catga:error:UNKNOWN_MESSAGE",
      title: "Unknown message",
      status: 404,
      detail: 'Cannot send "none" to "account": it has no such message',
      instance: "/entities/account/a%2Fb/none",
      code: "UNKNOWN_MESSAGE",
      retryable: false,
      requestId: "r-1",
    });
  });
});

describe("a failure of the entity", () => {
  test.each([
    ["trouble/1/crash", 500, "HANDLER_FAILED"],
    ["trouble/2/leak", 500, "REPLY_NOT_ENCODABLE"],
    ["trouble/3/burst", 500, "REPLY_TOO_LARGE"],
    ["trouble/4/loose", 500, "INVALID_REPLY"],
    ["stillborn/1/ping", 500, "ACTIVATION_FAILED"],
  ])("at %s answers %d %s and says nothing of the inside", async (path, status, code) => {
    logged.length = 0;
    const response = await edge.ask(`/entities/${path}`, { method: "POST" });
    const text = await response.clone().text();
    expect(await refusalOf(response)).toEqual([status, code]);
    expect(text).not.toMatch(/hunter2|Error:|\.ts|\bat /);
    const requestId = response.headers.get("X-Request-Id");
    expect(text).toContain(`see request ${requestId} in the log`);
    expect(logged).toMatchObject([
      { fields: { requestId, method: "POST", err: { code } }, message: "a request failed" },
    ]);
  });
  test.each([
    ["trouble/5/hang", 504, "CALL_TIMEOUT"],
    ["trouble/6/strict", 422, "INVALID_PAYLOAD"],
  ])("at %s answers %d %s and is not logged", async (path, status, code) => {
    logged.length = 0;
    const response = await edge.post(`/entities/${path}`, {});
    expect(await refusalOf(response)).toEqual([status, code]);
    expect(logged).toEqual([]);
  });
  test("says which field of a payload is wrong", async () => {
    const response = await edge.post("/entities/trouble/7/strict", {});
    expect((await problemOf(response)).detail).toContain("n: is wrong");
  });
});

test("a full mailbox answers 429 and when to come again", async () => {
  const running = wait();
  await gate.entered.promise;
  const [second, third] = [wait(), wait()];
  const refused = await Promise.race([second, third]);
  expect(refused.headers.get("Retry-After")).toBe("1");
  expect(refused.status).toBe(429);
  expect(await problemOf(refused)).toMatchObject({ code: "MAILBOX_FULL", retryable: true });
  gate.opened.resolve();
  const answers = await Promise.all([running, second, third]);
  expect(answers.filter(({ status }) => status === 204)).toHaveLength(2);
});

test("a stopped node answers 503 and when to come again", async () => {
  const cluster = await Cluster.start({ transport: "memory", entities: [Account] });
  const app = gateway(cluster, { expose: [Account] });
  await cluster.stop();
  const response = await app.request("/entities/account/1/balance");
  expect(response.headers.get("Retry-After")).toBe("1");
  expect(response.status).toBe(503);
  expect(await problemOf(response)).toMatchObject({ code: "CLUSTER_STOPPED", retryable: true });
  const late = gateway(cluster, { expose: [Account], management: "full" });
  for (const path of [
    "/entities/account/1/balance",
    "/watch/account/1",
    "/events?types=node-left",
    "/cluster/nodes",
    "/metrics",
  ]) {
    const answer = await late.request(path);
    expect(answer.headers.get("Retry-After")).toBe("1");
    expect(await refusalOf(answer)).toEqual([503, "CLUSTER_STOPPED"]);
  }
  expect((await late.request("/healthz/live")).status).toBe(200);
  expect((await late.request("/healthz/ready")).status).toBe(503);
});

function halfAnswered(): Promise<never> {
  const details = { message: "vote", answered: 1, needed: 2, executed: "yes" } as const;
  return Promise.reject(new CatgaError("NO_QUORUM", details));
}

test("too few answers are no reason to ask again where the message has run", async () => {
  await using cluster = await Cluster.start({
    transport: "memory",
    handlers: [handler(Vote, () => {})],
  });
  const app = gateway(cluster, { expose: [Vote] });
  const unasked = await app.request("/messages/vote", { method: "POST" });
  expect([unasked.status, unasked.headers.get("Retry-After")]).toEqual([503, "1"]);
  expect(await problemOf(unasked)).toMatchObject({ code: "NO_QUORUM", retryable: true });
  const asked = gateway({ ...cluster, broadcast: halfAnswered } as never, { expose: [Vote] });
  const answer = await asked.request("/messages/vote", { method: "POST" });
  expect([answer.status, answer.headers.get("Retry-After")]).toEqual([504, null]);
  expect(await problemOf(answer)).toMatchObject({ code: "NO_QUORUM", retryable: false });
});

describe("the table of codes", () => {
  const call = { entity: "account/1", message: "balance" };
  const issue = { ...call, issues: "n: is wrong" };
  const where = { ...call, path: "$.a", found: "a function" };
  const late = { ...call, timeoutMs: 1 };
  const details: { readonly [C in ErrorCode]: readonly [ErrorDetails[C], number, boolean] } = {
    ACTIVATION_FAILED: [{ entity: "account/1", name: "Error", text: "no" }, 500, false],
    BAD_LINE: [{ line: 1, reason: "a" }, 500, false],
    BALANCER_FAILED: [{ message: "a", reason: "threw" }, 500, false],
    BROKER_LACKS: [{ address: "a", what: "b" }, 500, false],
    BROKER_READ_ONLY: [{ address: "a" }, 500, false],
    BROKER_REFUSED: [{ address: "a", reason: "b" }, 500, false],
    BROKER_TOO_OLD: [{ broker: "a", purpose: "b", minimum: "2" }, 500, false],
    BROKER_UNREACHABLE: [{ address: "a", reason: "b" }, 503, true],
    CALL_CYCLE: [{ ...call, cycle: "a → a" }, 500, false],
    CALL_TIMEOUT: [{ ...late, executed: "maybe" }, 504, false],
    CANCELLED: [{ ...call, executed: "maybe" }, 504, false],
    CHAIN_TOO_LONG: [{ ...call, limit: 64 }, 500, false],
    CLUSTER_MISMATCH: [{ ours: "a", theirs: "b", address: "c" }, 500, false],
    CLUSTER_STOPPED: [{ node: "a" }, 503, true],
    ENTITY_SETS_DIFFER: [{ ours: "a", theirs: "b" }, 500, false],
    FORBIDDEN: [{ action: "a" }, 403, false],
    HANDLER_FAILED: [{ ...call, name: "Error", text: "no" }, 500, false],
    INVALID_ID: [{ reason: "is empty" }, 400, false],
    INVALID_KEY: [{ message: "a", reason: "b" }, 422, false],
    INVALID_PAYLOAD: [issue, 422, false],
    INVALID_REPLY: [issue, 500, false],
    MAILBOX_FULL: [{ entity: "account/1", capacity: 1 }, 429, true],
    MALFORMED: [{ what: "body", reason: "no" }, 400, false],
    MISSING_PACKAGE: [{ package: "a", purpose: "b" }, 500, false],
    NO_HANDLER: [{ message: "a", reason: "b" }, 503, true],
    NO_QUORUM: [{ message: "a", answered: 1, needed: 2 }, 503, true],
    NODE_AWAY: [{ node: "a" }, 503, true],
    NODE_ID_TAKEN: [{ node: "a" }, 500, false],
    NOT_FOUND: [{ path: "/" }, 404, false],
    NOT_STORED: [{ entity: "a", reason: "b" }, 500, false],
    OUTCOME_UNKNOWN: [{ ...call, reason: "no" }, 504, false],
    OVERLOADED: [{ what: "messages", limit: 1 }, 429, true],
    PAYLOAD_NOT_ENCODABLE: [where, 400, false],
    PORT_TAKEN: [{ address: "a", reason: "b" }, 500, false],
    PROTOCOL_MISMATCH: [{ ours: 1, theirs: 2, address: "a" }, 500, false],
    REJECTED: [{ ...call, rejection: "SOLD_OUT", text: "none left", status: 410 }, 410, false],
    REPLY_NOT_ENCODABLE: [where, 500, false],
    REPLY_TOO_LARGE: [{ ...call, bytes: 2, bytesMax: 1 }, 500, false],
    RUNTIME_TOO_OLD: [{ runtime: "a", version: "1", purpose: "b", minimum: "2" }, 500, false],
    SETTINGS_DIFFER: [{ setting: "a", ours: 1, theirs: 2 }, 500, false],
    STATE_CORRUPT: [{ entity: "a/1", reason: "no" }, 500, false],
    STATE_NOT_ENCODABLE: [{ entity: "a/1", reason: "no" }, 500, false],
    STATE_TOO_LARGE: [{ entity: "a/1", bytes: 2, bytesMax: 1 }, 500, false],
    STATE_TOO_NEW: [{ entity: "a/1", ours: 1, theirs: 2 }, 500, false],
    STORE_UNAVAILABLE: [{ store: "sqlite", reason: "no" }, 503, true],
    TOO_LARGE: [{ what: "message", bytes: 2, bytesMax: 1 }, 413, false],
    UNAUTHENTICATED: [{ reason: "a" }, 401, false],
    UNAVAILABLE: [{ reason: "no" }, 503, true],
    UNKNOWN_ENTITY: [{ entity: "account" }, 404, false],
    UNKNOWN_MESSAGE: [call, 404, false],
    UNSAFE_SECRET: [{ path: "a", reason: "b" }, 500, false],
    WRONG_SECRET: [{ address: "a" }, 500, false],
  };
  const rows = Object.entries(details) as [ErrorCode, (typeof details)[ErrorCode]][];

  test.each(rows)("turns %s into its status", async (code, [carried, status, retryable]) => {
    const response = await failingWith(new CatgaError(code, carried));
    expect(response.status).toBe(status);
    expect(response.headers.has("Retry-After")).toBe(status === 429 || status === 503);
    const shown = code === "REJECTED" ? "SOLD_OUT" : code;
    expect(await problemOf(response)).toMatchObject({ code: shown, status, retryable });
  });
  test("calls a timeout retryable when nothing has run", async () => {
    const error = new CatgaError("CALL_TIMEOUT", { ...late, executed: "no" });
    expect(await problemOf(await failingWith(error))).toMatchObject({ retryable: true });
  });
  test("hides what it does not know", async () => {
    logged.length = 0;
    const response = await failingWith(new TypeError("the password is hunter2"));
    const problem = await problemOf(response);
    expect(problem).toMatchObject({ status: 500, code: "INTERNAL", retryable: false });
    expect(JSON.stringify(problem)).not.toContain("hunter2");
    expect(logged).toMatchObject([{ fields: { requestId: problem.requestId } }]);
  });
  test("hides a code of another version", async () => {
    const error = Object.assign(new Error("hunter2"), { name: "CatgaError", code: "FROM_LATER" });
    const problem = await problemOf(await failingWith(error));
    expect(problem).toMatchObject({ status: 500, title: "Internal error" });
    expect(JSON.stringify(problem)).not.toContain("hunter2");
  });
});

function wait(): Promise<Response> {
  return edge.ask("/entities/trouble/8/wait", { method: "POST" });
}

async function failingWith(error: Error): Promise<Response> {
  const entity = () => ({ send: () => Promise.reject(error) });
  const cluster = { beforeStop() {}, entity, nodes: [], owner: () => undefined } as never;
  return gateway(cluster, { expose: [Account], log }).request("/entities/account/1/balance");
}
