/**
 * One call: as many requests as its deadline has room for, as long as each is harmless.
 *
 * What certainly did not run is sent again. What may have run is sent again only if it is a query,
 * or a command under a key, of which the entity remembers what it answered. OUTCOME_UNKNOWN is the
 * end of a command all the same: the edge has tried, and found that nobody remembers. A call that
 * fails says what is true of all its requests together: that the last one did not run means
 * nothing when one before it may have.
 */
import { type Backoff, backoffMs } from "../base/backoff.ts";
import type { Random } from "../base/random.ts";
import { valueOf } from "./answer.ts";
import { Bound } from "./bound.ts";
import type { ClientClock } from "./clock.ts";
import type { Edges } from "./edges.ts";
import { CatgaClientError, isClientError } from "./error.ts";

/** What all calls of one client share. */
export interface Home {
  readonly edges: Edges;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Those of every request, with a token of now. */
  readonly headers: () => Promise<Readonly<Record<string, string>>>;
  readonly clock: ClientClock;
  readonly random: Random;
}

/** See the file's header. */
export interface Call {
  /** Below the edge, with a slash at its beginning. */
  readonly path: string;
  /** JSON. */
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  /** What does no harm twice: anything, what runs once under its key, or nothing. */
  readonly again: "query" | "keyed" | "never";
  /** Requests after the first one. */
  readonly retries: number;
  /** For all requests together. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

const RETRY: Backoff = { firstMs: 50, longestMs: 2_000 };
/** What runtimes say when nothing was sent; not all have a code for it. */
const NOT_SENT: readonly unknown[] = ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN"];
/** Statuses of an edge that goes away, or of a proxy before one that has gone; or no answer. */
const AWAY: readonly unknown[] = [undefined, 502, 503];
/** What another request may not meet. */
const PASSING: readonly unknown[] = [...AWAY, 429, 504];

/** Resolves with the value in the answer. @throws {CatgaClientError} */
export async function callEdge(home: Home, call: Call): Promise<unknown> {
  const bound = new Bound(home.clock, call);
  let doubt: CatgaClientError | undefined;
  try {
    for (let tries = 0; ; tries++) {
      const url = home.edges.current;
      try {
        return await bound.race(request(home, call, { url, bound }));
      } catch (error) {
        if (!isClientError(error)) throw error;
        if (AWAY.includes(error.status)) home.edges.leave(url);
        if (error.executed === "maybe") doubt = error;
        const waitMs = waitOf(error, tries, home);
        const isLast = tries >= call.retries || bound.isOver || bound.leftMs <= waitMs;
        if (isLast || !mayTryAgain(error, call))
          throw error.executed === "no" ? (doubt ?? error) : error;
        bound.mayHaveRun = doubt !== undefined;
        if (waitMs > 0) await bound.pause(waitMs);
      }
    }
  } finally {
    bound.end();
  }
}

interface Try {
  readonly url: string;
  readonly bound: Bound;
}

async function request(home: Home, call: Call, { url, bound }: Try): Promise<unknown> {
  const common = await home.headers();
  const { signal } = bound;
  signal.throwIfAborted();
  const headers = {
    ...common,
    ...call.headers,
    "Content-Type": "application/json",
    "Request-Timeout-Ms": String(Math.ceil(bound.leftMs)),
  };
  bound.mayHaveRun = true;
  const { path, body } = call;
  let answer: Response;
  let text: string;
  try {
    // Whoever redirects a command is no edge, and gets no token.
    const init = { method: "POST", headers, body, signal, redirect: "error" } as const;
    answer = await home.fetch(url + path, init);
    text = await answer.text();
  } catch (error) {
    throw signal.aborted ? signal.reason : unanswered(error, url);
  }
  return valueOf(answer, text, home.clock);
}

/** NETWORK_FAILED, because of what `fetch` threw. */
export function unanswered(cause: unknown, url: string): CatgaClientError {
  const { code, cause: inner } = cause as { code?: unknown; cause?: { code?: unknown } };
  return new CatgaClientError("NETWORK_FAILED", {
    detail: `Cannot get an answer from ${url}: ${String(cause)}`,
    executed: NOT_SENT.includes(code ?? inner?.code) ? "no" : "maybe",
    cause,
  });
}

/** No time at all as long as there are edges that were not asked yet. */
function waitOf(error: CatgaClientError, tries: number, { edges, random }: Home): number {
  const hasOthers = AWAY.includes(error.status) && (tries + 1) % edges.count > 0;
  if (hasOthers) return 0;
  const rounds = Math.floor(tries / edges.count);
  return (error.retryAfterMs ?? 0) + backoffMs(rounds, RETRY, random);
}

function mayTryAgain(error: CatgaClientError, { again }: Call): boolean {
  if (error.executed === "no") return error.retryable || error.status === undefined;
  if (again === "never" || !PASSING.includes(error.status)) return false;
  return again === "query" || error.code !== "OUTCOME_UNKNOWN";
}
