/** From a message to the requests it may become: paths, keys, and how often. */
import { durationMs } from "../base/duration.ts";
import { RETRIES_MAX } from "../base/limits.ts";
import { CopyError, copyPlain } from "../base/plain.ts";
import type { Random } from "../base/random.ts";
import { isWhole } from "../base/shape.ts";
import type { CallOptions } from "../api/context.ts";
import type { MessageOptions } from "../api/messages.ts";
import type { Call } from "./call.ts";
import { CatgaClientError } from "./error.ts";

/** A message on its way. */
export interface Sending {
  /** The parts of its path. */
  readonly to: readonly string[];
  readonly message: object;
  /** What it was declared as, if this program knows. */
  readonly def: Pick<MessageOptions, "kind" | "timeoutMs"> | undefined;
  readonly oneWay: boolean;
  /** An entity remembers the answers to its commands; others say so themselves, or do not. */
  readonly isOfEntity?: boolean;
}

/** What decides beside the message. */
interface Given {
  readonly own: CallOptions | undefined;
  readonly usual: { readonly timeoutMs: number; readonly retries: number | undefined };
  readonly random: Random;
}

/** Of what is harmless. */
const RETRIES = 3;
const KEY_CHARS = 26;
/** What the header has room for, and the edge takes. */
const KEY = /^[\x20\x21\x23-\x5b\x5d-\x7e]{1,128}$/;

/**
 * The call that `sending` becomes.
 *
 * @throws {CatgaClientError} INVALID_ID, PAYLOAD_NOT_ENCODABLE, TOO_LARGE
 * @throws {TypeError | RangeError} for options that make no sense
 */
export function callOf(sending: Sending, { own = {}, usual, random }: Given): Call {
  const { to, message, def, oneWay, isOfEntity = false } = sending;
  const { timeout, signal, idempotencyKey } = own;
  const retries = checkRetries(own.retries) ?? usual.retries;
  const isQuery = def?.kind === "query";
  // A key costs the entity a place for the answer: only who asks for it has one.
  const isToRepeat = isOfEntity && !isQuery && retries !== undefined && retries > 0;
  const key = checkKey(idempotencyKey) ?? (isToRepeat ? random.text(KEY_CHARS) : undefined);
  return {
    path: pathOf(to),
    body: bodyOf(message),
    headers: {
      ...(key !== undefined && { "Idempotency-Key": `"${key}"` }),
      ...(oneWay && { Prefer: "respond-async" }),
    },
    again: isQuery ? "query" : key === undefined ? "never" : "keyed",
    retries: retries ?? RETRIES,
    timeoutMs:
      timeout === undefined ? (def?.timeoutMs ?? usual.timeoutMs) : durationMs(timeout, "timeout"),
    signal,
  };
}

/** The name of a message. @throws {TypeError} for what is none */
export function typeOf(message: object): string {
  const type = (message as { readonly type?: unknown } | null | undefined)?.type;
  if (typeof type === "string") return type;
  throw new TypeError("Cannot send that: a message is an object with a type");
}

/** A path of those parts. @throws {CatgaClientError} INVALID_ID for one that no path can hold */
export function pathOf(parts: readonly string[]): string {
  // A URL has no part that is empty, and takes dots for directions.
  const bad = parts.find((part) => /^\.{0,2}$/.test(part) || /\p{Surrogate}/u.test(part));
  if (bad === undefined) return parts.map((part) => `/${encodeURIComponent(part)}`).join("");
  const detail = `Cannot address ${JSON.stringify(bad)}: no URL can hold that`;
  throw new CatgaClientError("INVALID_ID", { detail, executed: "no" });
}

/** @throws {RangeError} */
export function checkRetries(retries: number | undefined): number | undefined {
  if (retries === undefined || (isWhole(retries) && retries <= RETRIES_MAX)) return retries;
  throw new RangeError(`Cannot use retries ${retries}: write a whole number up to ${RETRIES_MAX}`);
}

/** @throws {TypeError} */
function checkKey(key: string | undefined): string | undefined {
  if (key === undefined || KEY.test(key)) return key;
  throw new TypeError("Cannot use idempotencyKey: write 1 to 128 of ASCII, but no quotes");
}

/** What the core would refuse is refused here: JSON would write NaN as null, and a Date as text. */
function bodyOf(message: object): string {
  try {
    const { type: _, ...payload } = copyPlain(message) as { readonly type: string };
    return JSON.stringify(payload);
  } catch (error) {
    if (!(error instanceof CopyError)) throw error;
    const { why } = error;
    const [code, what] =
      "path" in why
        ? (["PAYLOAD_NOT_ENCODABLE", `${why.path} is ${why.found}`] as const)
        : (["TOO_LARGE", `it has ${why.bytes} bytes, at most ${why.bytesMax}`] as const);
    throw new CatgaClientError(code, {
      detail: `Cannot send the message: ${what}`,
      executed: "no",
    });
  }
}
