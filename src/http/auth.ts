/** Who asks: what stands before everything but `/healthz`, and the usual way to find out. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { Context, MiddlewareHandler } from "hono";
import { CatgaError, type MaybePromise } from "../index.ts";
import type { Authenticate, Identity, Told } from "./edge.ts";

/** RFC 6750, section 2.1. Two such headers arrive as one with a comma in it, which is no token. */
const CREDENTIALS = /^Bearer ([A-Za-z0-9._~+/-]+=*)$/i;
/** 16 random characters of base64 have 96 bits; nobody guesses them. */
const TOKEN_CHARACTERS_MIN = 16;

/** Knows whose token that is; `undefined` for nobody's. */
export type VerifyToken = (token: string) => MaybePromise<Identity | undefined>;

/**
 * An `auth` that reads `Authorization: Bearer <token>` (RFC 6750).
 *
 * Given one token, whoever has it is the subject `bearer`; given a table, its keys are the
 * subjects. How long a comparison takes says nothing about a token. A function is given what is a
 * token by its form; it compares by itself, or verifies a signature.
 *
 * @example bearer({ ada: adasToken, bob: bobsToken })
 * @throws {TypeError} for a token of less than 16 characters or others than RFC 6750 allows, and
 * for one of two subjects.
 */
export function bearer(
  known: string | Readonly<Record<string, string>> | VerifyToken,
): Authenticate {
  const table = typeof known === "string" ? { bearer: known } : known;
  const verify = typeof table === "function" ? table : verifierOf(table);
  return (request) => {
    const [, token] = CREDENTIALS.exec(request.headers.get("Authorization") ?? "") ?? [];
    return token === undefined ? undefined : verify(token);
  };
}

function verifierOf(
  table: Readonly<Record<string, string>>,
): (token: string) => Identity | undefined {
  const known = Object.entries(table).map(([subject, token]) => {
    if (token.length < TOKEN_CHARACTERS_MIN || !CREDENTIALS.test(`Bearer ${token}`)) {
      const needed = `at least ${TOKEN_CHARACTERS_MIN} letters, digits or "-._~+/"`;
      throw new TypeError(`Cannot use the token of "${subject}": write ${needed}`);
    }
    return { digest: digestOf(token), identity: { subject } };
  });
  if (new Set(Object.values(table)).size < known.length) {
    throw new TypeError("Cannot tell two subjects apart by one token");
  }
  return (token) => {
    const digest = digestOf(token);
    // All are looked at: which one matched, or how many there are before it, takes no time.
    return known.filter((each) => timingSafeEqual(each.digest, digest))[0]?.identity;
  };
}

function digestOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

/**
 * Answers nobody whom `auth` does not know.
 *
 * The names of the two middlewares tell `listen` whether somebody has to log in.
 */
export function authenticatedBy(auth: Authenticate | undefined): MiddlewareHandler<Told> {
  if (auth === undefined) {
    return function unauthenticated(_c: Context<Told>, next: () => Promise<void>) {
      return next();
    };
  }
  return async function authenticated(c: Context<Told>, next: () => Promise<void>) {
    const identity = await identityBy(auth, c.req.raw);
    // Not just something: without types a hook may return `null`, or `true`.
    if (typeof identity?.subject !== "string") {
      c.header("WWW-Authenticate", "Bearer");
      throw new CatgaError("UNAUTHENTICATED", { reason: "no or wrong credentials" });
    }
    c.set("identity", identity);
    await next();
  };
}

/** What a hook throws is its own affair: a code in it must not choose the answer. */
async function identityBy(auth: Authenticate, request: Request): Promise<Identity | undefined> {
  try {
    return await auth(request);
  } catch (error) {
    throw new Error("auth failed", { cause: error });
  }
}
