/**
 * What stands on every answer: the request id, what browsers must not do with it, and that nobody
 * keeps it.
 *
 * A `Headers` costs Node.js as much as everything else of a small answer. So one that is made by
 * `answerAtOnce` has its headers from the start, as a plain record, and the rest get theirs behind.
 */
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { requestId } from "hono/request-id";
import { secureHeaders } from "hono/secure-headers";
import type { Told } from "./edge.ts";

const HEADERS = {
  contentSecurityPolicy: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
  // It binds whole domains: whoever ends TLS decides on it.
  strictTransportSecurity: false,
  xFrameOptions: "DENY",
  // For browsers and plug-ins that are gone, or for pages.
  originAgentCluster: false,
  xDnsPrefetchControl: false,
  xDownloadOptions: false,
  xPermittedCrossDomainPolicies: false,
  xXssProtection: false,
};
const REQUEST_ID = /^[\w\-=]{1,255}$/;
/** Answers are moments of a state that changes: no cache between may keep one. */
const NEVER_STORED = "no-store";

/** Puts them on each answer; the first of all middlewares. */
export function withHeaders(): MiddlewareHandler<Told> {
  // Without a name, for it would make a `Headers`.
  const withNewId = requestId({ headerName: "" });
  let safe: Readonly<Record<string, string>> | undefined;
  return async function withHeaders(c, next) {
    safe ??= await safeHeaders();
    c.set("safe", safe);
    const given = c.req.header("X-Request-Id");
    const isKept = given !== undefined && REQUEST_ID.test(given);
    if (isKept) c.set("requestId", given);
    await (isKept ? next() : withNewId(c, next));
    if (c.get("atOnce") === c.res) return;
    const { headers } = c.res;
    for (const [name, value] of Object.entries(safe)) {
      if (name !== "cache-control" || !headers.has(name)) headers.set(name, value);
    }
    headers.set("x-request-id", c.get("requestId"));
  };
}

/**
 * Answers 200 with `text`, which is JSON. What `c.header` has set before is not on it, but what
 * was set on `c.res` is.
 */
export function answerAtOnce(c: Context<Told>, text: string, cached?: string): Response {
  const headers: Record<string, string> = {
    ...c.get("safe"),
    "x-request-id": c.get("requestId"),
    "content-type": "application/json",
  };
  if (cached !== undefined) headers["cache-control"] = cached;
  const response = new Response(text, { headers });
  c.set("atOnce", response);
  return response;
}

/** What Hono finds safe, as a record. */
async function safeHeaders(): Promise<Readonly<Record<string, string>>> {
  const app = new Hono().use(secureHeaders(HEADERS)).get("/", (c) => c.body(null));
  const { headers } = await app.request("/");
  return { ...Object.fromEntries(headers), "cache-control": NEVER_STORED };
}
