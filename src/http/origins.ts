/**
 * Pages of other sites. A browser sends what they want in its user's name, who may be logged in, or
 * be the only one to reach this machine; so nothing they send runs unless their origin is named.
 * Programs send no `Origin`, and are none of this file's business.
 *
 * Answers are kept from such pages by browsers (CORS, fetch.spec.whatwg.org). That is not enough: a
 * form, or a socket, asks no permission before it sends.
 */
import type { Context, MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import { CatgaError } from "../index.ts";
import type { Told } from "./edge.ts";

/** Which pages of other sites may use a gateway. */
export interface CorsOptions {
  /** Exactly as browsers send them: `https://app.example`, without a slash at the end. */
  readonly origins: readonly string[];
  /** Whether cookies come along; only an `auth` of your own reads any. @default false */
  readonly credentials?: boolean;
}

const ALLOWED = ["Authorization", "Content-Type", "Idempotency-Key", "If-None-Match"];
const ALLOWED_TOO = ["Last-Event-ID", "Prefer", "Request-Timeout-Ms", "X-Request-Id"];
const TRACED = ["traceparent", "tracestate"];
const EXPOSED = ["ETag", "Preference-Applied", "Retry-After", "X-Request-Id"];
const PREFLIGHT_SECONDS = 600;
const ONLY_READS = /^(?:GET|HEAD|OPTIONS)$/;

/**
 * Answers browsers that ask for permission.
 *
 * @throws {TypeError} for what is no origin.
 */
export function permitting({ origins, credentials = false }: CorsOptions): MiddlewareHandler {
  for (const origin of origins) {
    if (originOf(origin) === origin && /^https?:[^*]+$/.test(origin)) continue;
    throw new TypeError(`Cannot open to "${origin}": write an origin as "https://app.example"`);
  }
  return cors({
    origin: [...origins],
    credentials,
    allowMethods: ["GET", "HEAD", "POST", "PUT"],
    allowHeaders: [...ALLOWED, ...ALLOWED_TOO, ...TRACED],
    exposeHeaders: EXPOSED,
    maxAge: PREFLIGHT_SECONDS,
  });
}

/** Refuses what a page of another site wants to be done without permission. */
export function actsOfOwnPages(origins: readonly string[] = []): (c: Context<Told>) => void {
  return (c) => {
    if (mayAct(c, origins)) return;
    throw new CatgaError("FORBIDDEN", { action: "act for a page of another site" });
  };
}

function mayAct(c: Context<Told>, origins: readonly string[]): boolean {
  if (ONLY_READS.test(c.req.method) && c.req.header("Upgrade") === undefined) return true;
  const origin = c.req.header("Origin");
  if (origin !== undefined && origins.includes(origin)) return true;
  const site = c.req.header("Sec-Fetch-Site");
  if (site !== undefined) return site === "same-origin" || site === "none";
  // Older browsers say no more, nor do new ones without TLS. Who ends TLS may stand before this.
  return origin === undefined || hostOf(origin) === hostOf(c.req.url);
}

function originOf(text: string): string | undefined {
  return URL.canParse(text) ? new URL(text).origin : undefined;
}

function hostOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).host : undefined;
}
