/** Answers that several routes give, and what stands before a body. */
import type { Context, MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { CatgaError } from "../index.ts";
import type { Told } from "./edge.ts";
import { answerProblem, Refusal } from "./problem.ts";

/** What stands before a handler that reads a body. */
export type Body = readonly [MiddlewareHandler<Told>, MiddlewareHandler<Told>];

/** Bodies of at most `bytesMax`. */
export function bodyOf(bytesMax: number): Body {
  const onError = (c: Context): Response => {
    // Without a length all that is known is that there is more.
    const bytes = Number(c.req.header("Content-Length") ?? bytesMax + 1);
    return answerProblem(c, new CatgaError("TOO_LARGE", { what: "body", bytes, bytesMax }));
  };
  return [beforeBody, bodyLimit({ maxSize: bytesMax, onError })];
}

function beforeBody(c: Context<Told>, next: () => Promise<void>): Promise<void> {
  if ((c.req.header("Content-Encoding") ?? "identity") !== "identity") {
    const details = { what: "body", reason: "it is compressed" };
    throw new Refusal(new CatgaError("MALFORMED", details), 415);
  }
  // A body without a length is read into another request, and on Node.js that one never aborts.
  c.set("signal", c.req.raw.signal);
  return next();
}

/** 200 with the value, 204 without one. */
export function answerWith(c: Context, value: unknown): Response {
  return value === undefined ? c.body(null, 204) : c.json(value);
}

/** The answer to a query: whoever keeps it asks whether it is still so, naming its ETag. */
export function answerFresh(c: Context, value: unknown): Response {
  c.header("Cache-Control", "private, no-cache");
  return answerWith(c, value);
}

/** 202: the message was taken, and nobody waits for what it does. */
export function answerTaken(c: Context): Response {
  c.header("Preference-Applied", "respond-async");
  return c.body(null, 202);
}

/** MALFORMED with status 405, and the header that names what is allowed. */
export function wrongMethod(c: Context, allowed: string): Refusal {
  c.header("Allow", allowed);
  const details = { what: "request", reason: `${c.req.method} is not among ${allowed}` };
  return new Refusal(new CatgaError("MALFORMED", details), 405);
}
