/**
 * What the headers of a request say about the call it becomes: how long it may take, and whether
 * it was sent before.
 *
 *   Request-Timeout-Ms: 500       the answer comes within so many milliseconds, or 504, however
 *                                 often the edge tries
 *   Idempotency-Key: "k-1"        the same command with the same key runs once
 *   traceparent, tracestate       whose child the call is, where spans are wanted
 *   Prefer: respond-async         202 as soon as the message is taken (RFC 7240, section 4.1)
 *
 * A key belongs to who sent it: nobody is answered what somebody else has done under the same one.
 */
import { createHash } from "node:crypto";
import type { Context } from "hono";
import { type CallOptions, CatgaError, type MessageDescription } from "../index.ts";
import type { Told } from "./edge.ts";

/**
 * Longer than anybody waits before a page, and what proxies give up at: for whoever says how long
 * he waits, and for all tries together of what the edge tries again.
 */
const TIMEOUT_MS_MAX = 30_000;
/** Tries of what may be tried again: an owner that dies is followed by another within a second. */
const RETRIES = 3;

/** The draft of the header (draft-ietf-httpapi-idempotency-key-header) has a quoted string. */
const KEY = /^(?:"([\x20\x21\x23-\x5b\x5d-\x7e]{1,128})"|([\x21\x23-\x7e]{1,128}))$/;

/** What is called. */
type Called = Pick<MessageDescription, "kind" | "takesKey" | "timeoutMs">;
type Writable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * The options of the call that a request becomes.
 *
 * @throws {CatgaError} MALFORMED
 */
export function callOptionsOf(c: Context<Told>, called: Called, signal: AbortSignal): CallOptions {
  const header = c.req.header("Request-Timeout-Ms");
  const { kind, takesKey, timeoutMs = 0 } = called;
  const key = kind === "query" ? undefined : c.req.header("Idempotency-Key");
  if (key !== undefined && !takesKey) {
    throw malformed("Idempotency-Key", "nobody would remember it: the message takes no key");
  }
  const options: Writable<CallOptions> = { signal, trace: traceOf(c) };
  if (header !== undefined) options.timeout = timeoutOf(header);
  if (key !== undefined) options.idempotencyKey = keyOf(c, key);
  if (kind === "query" || key !== undefined) {
    options.retries = RETRIES;
    // A try may take as long as its message was declared with.
    options.within = options.timeout ?? Math.max(timeoutMs, TIMEOUT_MS_MAX);
  }
  return options;
}

/** Most is read by nobody: without tracing it takes a `traceparent`. */
function traceOf(c: Context<Told>): NonNullable<CallOptions["trace"]> {
  return {
    traceparent: c.req.header("traceparent"),
    get tracestate() {
      return c.req.header("tracestate");
    },
    get attributes() {
      return { "catga.request_id": c.get("requestId") };
    },
  };
}

/** RFC 7240, section 4.1; the header may name several preferences. */
export function prefersAsync(c: Context): boolean {
  const preferences = c.req.header("Prefer");
  if (preferences === undefined) return false;
  return preferences.split(",").some((each) => /^\s*respond-async\s*(?:;|$)/i.test(each));
}

function timeoutOf(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Math.min(Number(text), TIMEOUT_MS_MAX);
  throw malformed("Request-Timeout-Ms", "write milliseconds, a whole number from 1");
}

function keyOf(c: Context<Told>, text: string): string {
  const [, quoted, bare] = KEY.exec(text) ?? [];
  const key = quoted ?? bare;
  if (key === undefined) {
    throw malformed("Idempotency-Key", "write 1 to 128 printable ASCII characters");
  }
  const subject = c.get("identity")?.subject;
  if (subject === undefined) return key;
  return createHash("sha256")
    .update(JSON.stringify([subject, key]))
    .digest("base64url");
}

function malformed(header: string, reason: string): CatgaError {
  return new CatgaError("MALFORMED", { what: `header "${header}"`, reason });
}
