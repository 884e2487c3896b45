/** The one error class. */
import { describe, expect, test } from "bun:test";
import {
  CatgaError,
  describeError,
  type ErrorCode,
  type ErrorDetails,
  type Executed,
  isCatgaError,
  isErrorCode,
} from "../../src/base/errors.ts";
import { THROWN } from "../contracts/oddities.ts";

/** An error of each code: its details, whether the handler ran, its text. */
const EACH: { readonly [C in ErrorCode]: readonly [ErrorDetails[C], Executed, string] } = {
  ACTIVATION_FAILED: [
    { entity: "cart/42", name: "TypeError", text: "no" },
    "no",
    'Cannot activate "cart/42": TypeError: no',
  ],
  BAD_LINE: [{ line: 7, reason: "it is cut" }, "no", "Cannot import line 7: it is cut"],
  BALANCER_FAILED: [
    { message: "orders.place", reason: "threw Error: no" },
    "no",
    'Cannot route "orders.place": its balancer threw Error: no',
  ],
  BROKER_LACKS: [
    { address: "host:1", what: "it has no streams" },
    "no",
    "Cannot use the broker at host:1: it has no streams",
  ],
  BROKER_READ_ONLY: [
    { address: "host:1" },
    "no",
    "Cannot use the broker at host:1: it is a replica; name the primary",
  ],
  BROKER_REFUSED: [
    { address: "host:1", reason: "why" },
    "no",
    "Cannot log in to the broker at host:1: why",
  ],
  BROKER_TOO_OLD: [
    { broker: "nats-server 2.1.0", purpose: "carry a cluster", minimum: "2.9.0" },
    "no",
    "Cannot carry a cluster with nats-server 2.1.0: needs 2.9.0",
  ],
  BROKER_UNREACHABLE: [
    { address: "host:1", reason: "why" },
    "no",
    "Cannot reach the broker at host:1: why",
  ],
  CALL_CYCLE: [
    { entity: "cart/42", message: "add", cycle: "cart/42 → cart/42" },
    "no",
    'Cannot send "add" to "cart/42", which waits for this call: cart/42 → cart/42',
  ],
  CALL_TIMEOUT: [
    { entity: "cart/42", message: "add", timeoutMs: 250, executed: "maybe" },
    "maybe",
    'Cannot finish "add" on "cart/42": no answer within 250 ms',
  ],
  CANCELLED: [
    { entity: "cart/42", message: "add", executed: "maybe" },
    "maybe",
    'Cannot finish "add" on "cart/42": the caller\'s signal aborted',
  ],
  CHAIN_TOO_LONG: [
    { entity: "cart/42", message: "add", limit: 64 },
    "no",
    'Cannot send "add" to "cart/42": more than 64 turns wait for it',
  ],
  CLUSTER_MISMATCH: [
    { ours: "ours", theirs: "theirs", address: "host:1" },
    "no",
    'Cannot join cluster "ours" at host:1: cluster "theirs" answers there',
  ],
  CLUSTER_STOPPED: [{ node: "n1" }, "no", 'Cannot use the cluster on node "n1": it has stopped'],
  ENTITY_SETS_DIFFER: [
    { ours: "ours", theirs: "theirs" },
    "no",
    "Cannot join with entities [ours]: live nodes host [theirs] together",
  ],
  FORBIDDEN: [{ action: "send that" }, "no", "Cannot send that: you may not"],
  HANDLER_FAILED: [
    { entity: "cart/42", message: "add", name: "TypeError", text: "no" },
    "yes",
    'Cannot finish "add" on "cart/42": TypeError: no',
  ],
  INVALID_ID: [{ reason: "why" }, "no", "Cannot address the entity: its id why"],
  INVALID_KEY: [
    { message: "orders.place", reason: 'its key, of the field "orderId", is undefined' },
    "no",
    'Cannot route "orders.place": its key, of the field "orderId", is undefined',
  ],
  INVALID_PAYLOAD: [
    { entity: "cart/42", message: "add", issues: "amount: too small" },
    "no",
    'Cannot send "add" to "cart/42": amount: too small',
  ],
  INVALID_REPLY: [
    { entity: "cart/42", message: "add", issues: "amount: too small" },
    "yes",
    'Cannot answer "add" of "cart/42": amount: too small',
  ],
  MAILBOX_FULL: [
    { entity: "cart/42", capacity: 3 },
    "no",
    'Cannot accept a message for "cart/42": 3 are waiting',
  ],
  MALFORMED: [{ what: "frame", reason: "why" }, "no", "Cannot read the frame: why"],
  MISSING_PACKAGE: [
    { package: "hono", purpose: "serve HTTP" },
    "no",
    'Cannot serve HTTP: run "npm install hono"',
  ],
  NO_HANDLER: [
    { message: "orders.place", reason: "no node has one" },
    "no",
    'Cannot find a handler for "orders.place": no node has one',
  ],
  NO_QUORUM: [
    { message: "ops.ping", answered: 1, needed: 2 },
    "no",
    'Cannot finish "ops.ping": 1 of 2 nodes answered',
  ],
  NODE_AWAY: [
    { node: "n1" },
    "no",
    'Cannot reach node "n1": it is away, and nobody else has its entities',
  ],
  NODE_ID_TAKEN: [{ node: "n1" }, "no", 'Cannot join as "n1": a live node has this id'],
  NOT_FOUND: [{ path: "$.a" }, "no", 'Cannot find "$.a": there is no such route'],
  NOT_STORED: [
    { entity: "cart/42", reason: "its persistence is none" },
    "no",
    'Cannot look up what is stored of "cart/42": its persistence is none',
  ],
  OUTCOME_UNKNOWN: [
    { entity: "cart/42", message: "add", reason: "why" },
    "maybe",
    'Cannot finish "add" on "cart/42", or tell whether it ran: why',
  ],
  OVERLOADED: [{ what: "frame", limit: 7 }, "no", "Cannot take more frame: there are 7"],
  PAYLOAD_NOT_ENCODABLE: [
    { entity: "cart/42", message: "add", path: "$.a", found: "NaN" },
    "no",
    'Cannot send "add" to "cart/42": $.a is NaN',
  ],
  PORT_TAKEN: [{ address: "host:1", reason: "why" }, "no", "Cannot use host:1: why"],
  PROTOCOL_MISMATCH: [
    { ours: 2, theirs: 3, address: "host:1" },
    "no",
    "Cannot talk to host:1: it speaks protocol 3, this node 2",
  ],
  REJECTED: [
    { entity: "cart/42", message: "add", rejection: "SOLD_OUT", text: "none left", status: 409 },
    "yes",
    'Cannot finish "add" on "cart/42": none left',
  ],
  REPLY_NOT_ENCODABLE: [
    { entity: "cart/42", message: "add", path: "$.a", found: "NaN" },
    "yes",
    'Cannot answer "add" of "cart/42": $.a is NaN',
  ],
  REPLY_TOO_LARGE: [
    { entity: "cart/42", message: "add", bytes: 11, bytesMax: 10 },
    "yes",
    'Cannot answer "add" of "cart/42": 11 bytes, at most 10',
  ],
  RUNTIME_TOO_OLD: [
    { runtime: "Node.js", version: "18.0", purpose: "catga", minimum: "20.19" },
    "no",
    "Cannot run on Node.js 18.0: catga needs 20.19",
  ],
  SETTINGS_DIFFER: [
    { setting: "shardCount", ours: 3, theirs: 4 },
    "no",
    "Cannot join with shardCount 3: it is 4 here",
  ],
  STATE_CORRUPT: [
    { entity: "cart/42", reason: "it was cut" },
    "no",
    'Cannot read the stored state of "cart/42": it was cut',
  ],
  STATE_NOT_ENCODABLE: [
    { entity: "cart/42", reason: "a function at .f" },
    "yes",
    'Cannot store the state of "cart/42": a function at .f',
  ],
  STATE_TOO_LARGE: [
    { entity: "cart/42", bytes: 2, bytesMax: 1 },
    "yes",
    'Cannot store the state of "cart/42": 2 bytes, at most 1',
  ],
  STATE_TOO_NEW: [
    { entity: "cart/42", ours: 1, theirs: 2 },
    "no",
    'Cannot read "cart/42": its state has version 2, this node knows 1',
  ],
  STORE_UNAVAILABLE: [
    { store: "sqlite", reason: "it is locked" },
    "no",
    "Cannot use the store sqlite: it is locked",
  ],
  TOO_LARGE: [
    { what: "frame", bytes: 11, bytesMax: 10 },
    "no",
    "Cannot send the frame: 11 bytes, at most 10",
  ],
  UNAUTHENTICATED: [{ reason: "who asks?" }, "no", "Cannot answer: who asks?"],
  UNAVAILABLE: [{ reason: "why" }, "no", "Cannot reach the owner: why"],
  UNKNOWN_ENTITY: [
    { entity: "cart/42" },
    "no",
    'Cannot address "cart/42": no node hosts such entities',
  ],
  UNKNOWN_MESSAGE: [
    { entity: "cart/42", message: "add" },
    "no",
    'Cannot send "add" to "cart/42": it has no such message',
  ],
  UNSAFE_SECRET: [{ path: "$.a", reason: "why" }, "no", 'Cannot trust the secret file "$.a": why'],
  WRONG_SECRET: [
    { address: "host:1" },
    "no",
    "Cannot talk to host:1: the two sides have different secrets",
  ],
};

test.each(Object.keys(EACH) as ErrorCode[])("%s has its text, and says whether it ran", (code) => {
  const [details, executed, text] = EACH[code];
  const error = new CatgaError(code, details);
  expect([error.code, error.executed, error.message]).toEqual([code, executed, text]);
});

describe("an error", () => {
  test("shows a detail as it is, even one that looks like a place for another", () => {
    const error = new CatgaError("MALFORMED", { what: "{reason}", reason: "$& {what}" });
    expect(error.message).toBe("Cannot read the {reason}: $& {what}");
  });

  test("says what was tried and what is the case, and is rebuilt from code and details", () => {
    const details = { entity: "account/42", capacity: 3 };
    const error = new CatgaError("MAILBOX_FULL", details);
    expect(error.message).toBe('Cannot accept a message for "account/42": 3 are waiting');
    const sent = JSON.stringify({ code: error.code, details: error.details });
    const { code, details: received } = JSON.parse(sent) as CatgaError;
    expect(new CatgaError(code, received)).toEqual(error);
    expect(error.executed).toBe("no");
  });

  test("has a text whatever a peer sent in the place of a detail", () => {
    const sent = JSON.parse('{"entity":{"toString":1},"capacity":null}') as never;
    const error = new CatgaError("MAILBOX_FULL", sent);
    expect(error.message).toBe('Cannot accept a message for "an object": null are waiting');
  });

  test("takes from its details whether the handler ran, where only they know", () => {
    const details = { entity: "a/1", message: "m" };
    for (const executed of ["no", "maybe"] as const) {
      expect(new CatgaError("CANCELLED", { ...details, executed }).executed).toBe(executed);
    }
    expect(new CatgaError("OUTCOME_UNKNOWN", { ...details, reason: "r" }).executed).toBe("maybe");
  });

  test("keeps its cause", () => {
    const cause = new Error("first");
    expect(new CatgaError("INVALID_ID", { reason: "is empty" }, { cause }).cause).toBe(cause);
  });

  test("is known by its name, also to another copy of the package", () => {
    const foreign = Object.assign(new Error("x"), { name: "CatgaError", code: "INVALID_ID" });
    expect(isCatgaError(foreign)).toBe(true);
    expect(isCatgaError(foreign, "INVALID_ID")).toBe(true);
    expect(isCatgaError(foreign, "MAILBOX_FULL")).toBe(false);
    expect(isCatgaError(new Error("x"))).toBe(false);
    expect(isCatgaError({ name: "CatgaError", code: "INVALID_ID" })).toBe(false);
  });
});

test("a code is one of the table, not a property of every object", () => {
  expect(isErrorCode("INVALID_ID")).toBe(true);
  for (const code of ["FUN", "toString", "__proto__", "", 7, null])
    expect(isErrorCode(code)).toBe(false);
});

test.each(Object.keys(THROWN))("%s that was thrown is described in text", (what) => {
  const { name, text } = describeError(THROWN[what]!());
  expect([typeof name, typeof text]).toEqual(["string", "string"]);
});
