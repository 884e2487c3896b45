/** What lets a request in, or sends it away before anything is done for it. */
import type { Context, MiddlewareHandler } from "hono";
import { LRUCache } from "lru-cache";
import { CatgaError } from "../index.ts";
import type { Told } from "./edge.ts";
import type { GatewayLimits } from "./limits.ts";
import { Refusal } from "./problem.ts";

type Check = (c: Context<Told>) => void;

/** Those who asked within the last second; beyond, who asked least lately starts afresh. */
const IDENTITIES_MAX = 10_000;
const SECOND_MS = 1_000;
/** Letters and digits, `-`, `.` and `_` as `%61`: RFC 3986, section 2.3, has them never encoded. */
const ENCODED_NEEDLESSLY = /%(?:2[de]|3\d|[46][1-9a-f]|[57][\da]|5f)/i;

/** Lets pass what none of `checks` throws at; one layer, for each of Hono's costs more than all. */
export function checking(...checks: readonly Check[]): MiddlewareHandler<Told> {
  return (c, next) => {
    for (const check of checks) check(c);
    return next();
  };
}

/**
 * Refuses a URL that is too long, or one of two spellings of one path: whoever stands before this
 * and lets pass by path would see another one.
 */
export function plainUrls({ urlCharactersMax }: GatewayLimits): Check {
  return (c) => {
    const { url } = c.req;
    // Bun serves any `Host`; by some, the rest of the URL would be another path. Two are none.
    if (!URL.canParse(url) || c.req.header("Host")?.includes(",") === true) {
      throw new CatgaError("MALFORMED", { what: 'header "Host"', reason: "it names no host" });
    }
    if (url.length > urlCharactersMax) {
      const details = { what: "URL", bytes: url.length, bytesMax: urlCharactersMax };
      throw new Refusal(new CatgaError("TOO_LARGE", details), 414);
    }
    if (url.includes("%") && ENCODED_NEEDLESSLY.test(new URL(url).pathname)) {
      const reason = "it encodes what needs no encoding";
      throw new CatgaError("MALFORMED", { what: "path", reason });
    }
  };
}

/** Lets so many requests of each identity pass at once. */
export function atOnce(max: number): MiddlewareHandler<Told> {
  const underWay = new Map<string, number>();
  return async (c, next) => {
    const whose = c.get("identity")?.subject;
    if (whose === undefined) return next();
    const before = underWay.get(whose) ?? 0;
    if (before >= max) throw overloaded("requests at once", max);
    underWay.set(whose, before + 1);
    try {
      await next();
    } finally {
      const left = (underWay.get(whose) ?? 0) - 1;
      if (left > 0) underWay.set(whose, left);
      else underWay.delete(whose);
    }
  };
}

/** Lets so many requests of each identity pass in a second; all who are nobody count as one. */
export function perSecond(max: number): MiddlewareHandler<Told> {
  const rate = new Rate(max);
  return (c, next) => {
    if (!rate.take(c.get("identity")?.subject ?? "")) throw overloaded("requests in a second", max);
    return next();
  };
}

/**
 * For each subject there is the time up to which it is used (the virtual scheduling algorithm of
 * ITU-T Recommendation I.371), kept as how long its entry has to live.
 */
export class Rate {
  readonly #everyMs: number;
  readonly #used: LRUCache<string, true>;

  constructor(max: number, clock?: { now(): number }) {
    this.#everyMs = SECOND_MS / max;
    const perf = clock && { perf: clock };
    this.#used = new LRUCache({ max: IDENTITIES_MAX, ttl: SECOND_MS, ttlResolution: 0, ...perf });
  }

  /** True when `subject` may ask once more now. */
  take(subject: string): boolean {
    const usedMs = Math.max(0, this.#used.getRemainingTTL(subject));
    // A little more than is meant: what was summed up is off by its rounding.
    if (usedMs > SECOND_MS - this.#everyMs * 0.999) return false;
    this.#used.set(subject, true, { ttl: usedMs + this.#everyMs });
    return true;
  }
}

function overloaded(what: string, limit: number): CatgaError {
  return new CatgaError("OVERLOADED", { what, limit });
}
