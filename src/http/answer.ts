/** Answers that several routes give, and what stands before a body. */
import type { Context, MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { CatgaError } from "../index.ts";
import type { Told } from "./edge.ts";
import { answerAtOnce } from "./headers.ts";
import { answerProblem, Refusal } from "./problem.ts";

/** What stands before a handler that reads a body. */
export type Body = readonly [MiddlewareHandler<Told>];

/** Bodies of at most `bytesMax`. */
export function bodyOf(bytesMax: number): Body {
  const onError = (c: Context): Response => {
    // Without a length all that is known is that there is more.
    const bytes = Number(c.req.header("Content-Length") ?? bytesMax + 1);
    return answerProblem(c, new CatgaError("TOO_LARGE", { what: "body", bytes, bytesMax }));
  };
  const counted = bodyLimit({ maxSize: bytesMax, onError });
  return [
    (c, next) => {
      const { headers, signal } = c.req.raw;
      if ((headers.get("Content-Encoding") ?? "identity") !== "identity") {
        const details = { what: "body", reason: "it is compressed" };
        throw new Refusal(new CatgaError("MALFORMED", details), 415);
      }
      // A body without a length is read into another request, and on Node.js that never aborts.
      c.set("signal", signal);
      const length = headers.get("Content-Length");
      // The runtimes hold a body to its length. Counting it makes Node.js build a web stream, which
      // costs more than all the rest.
      const isKnown = length !== null && !headers.has("Transfer-Encoding");
      return isKnown && Number(length) <= bytesMax ? next() : counted(c, next);
    },
  ];
}

/** 200 with the value, 204 without one. */
export function answerWith(c: Context<Told>, value: unknown): Response {
  return value === undefined ? c.body(null, 204) : answerAtOnce(c, JSON.stringify(value));
}

/** The answer to a query: whoever keeps it asks whether it is still so, naming its ETag. */
export function answerFresh(c: Context<Told>, value: unknown): Response {
  const cached = "private, no-cache";
  if (value !== undefined) return answerAtOnce(c, JSON.stringify(value), cached);
  c.header("Cache-Control", cached);
  return c.body(null, 204);
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
