/**
 * Plain data: what payloads and replies are made of, the same in one process and across two.
 *
 * Plain is null, a boolean, a finite number, a string, an array of plain values, and an object
 * without a class whose values are plain. A property that is `undefined` is left out and -0 becomes
 * 0, as JSON has it. Everything else is refused, so that a local call never accepts what a remote
 * one could not carry.
 */
import { DEPTH_MAX, MESSAGE_BYTES_MAX } from "./limits.ts";

/** Why a value cannot be copied: what is not plain, at `$.lines[2].price`, or how large it is. */
export type NotCopied =
  | { readonly path: string; readonly found: string }
  | { readonly bytes: number; readonly bytesMax: number };

/** Thrown by {@link copyPlain}; the callers translate it into an error with a code. */
export class CopyError extends Error {
  readonly why: NotCopied;
  constructor(why: NotCopied) {
    super(JSON.stringify(why));
    this.name = "CopyError";
    this.why = why;
  }
}

const REFUSED = Symbol("refused");
const TOO_DEEP = `nested deeper than ${DEPTH_MAX} levels (a cycle, perhaps)`;
/** Worst case of one character in JSON: an escape such as \\u0000. */
const ESCAPED = 6;
const PER_VALUE = 26;
/** A value takes two bytes at least, so the estimate is never more than so many times the truth. */
const OVERESTIMATE = PER_VALUE / 2;
const CHARS_MAX = MESSAGE_BYTES_MAX * OVERESTIMATE;

// The estimate is kept beside the recursion, because a second return value would cost an object per
// node of every message. A copy never yields, so nobody else can see it half done.
let charsMax = 0;
// The same holds for what was refused: the path to it grows from its end, as the recursion returns.
let refused = "";
let refusedPath = "";

/**
 * A copy of plain data that shares nothing with it: what arrives is what would have come over a
 * link, and what is changed later is not seen.
 *
 * @throws {CopyError} naming the first value that is not plain, or how many bytes it has, at least,
 * when it is longer than `MESSAGE_BYTES_MAX` as JSON.
 */
export function copyPlain(value: unknown): unknown {
  charsMax = 0;
  const copy = copyAt(value, 0);
  if (copy === REFUSED) throw new CopyError({ path: `$${refusedPath}`, found: refused });
  if (charsMax > MESSAGE_BYTES_MAX) {
    const bytes = new TextEncoder().encode(JSON.stringify(copy)).length;
    if (bytes > MESSAGE_BYTES_MAX) throw oversize(bytes);
  }
  return copy;
}

/** An upper bound for the length of the last copy as JSON. */
export function charsMaxOfLastCopy(): number {
  return charsMax;
}

/** Makes plain data unchangeable, so that many may be given one copy. */
export function freezePlain<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.values(value).forEach(freezePlain);
  return Object.freeze(value);
}

function copyAt(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case "string":
      charsMax += value.length * ESCAPED + 3;
      return value;
    case "number":
      charsMax += PER_VALUE;
      return Number.isFinite(value) ? value + 0 : refuse(describe(value));
    case "boolean":
    case "undefined":
      charsMax += PER_VALUE;
      return value;
    case "object":
      charsMax += PER_VALUE;
      if (value === null) return null;
      if (depth === DEPTH_MAX) return refuse(TOO_DEEP);
      // Objects that are shared many times over are copied as often: that must end somewhere.
      if (charsMax > CHARS_MAX) throw oversize(Math.ceil(charsMax / OVERESTIMATE));
      return Array.isArray(value) ? copyArray(value, depth + 1) : copyObject(value, depth + 1);
    default:
      return refuse(describe(value));
  }
}

function oversize(bytes: number): CopyError {
  return new CopyError({ bytes, bytesMax: MESSAGE_BYTES_MAX });
}

function refuse(found: string, path = ""): typeof REFUSED {
  refused = found;
  refusedPath = path;
  return REFUSED;
}

function copyArray(values: readonly unknown[], depth: number): unknown {
  const copy: unknown[] = [];
  for (const value of values) {
    const item = value === undefined ? refuse(describe(value)) : copyAt(value, depth);
    if (item === REFUSED) return refuse(refused, `[${copy.length}]${refusedPath}`);
    copy.push(item);
  }
  return copy;
}

function copyObject(value: object, depth: number): unknown {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return refuse(describe(value));
  const copy: Record<string, unknown> = {};
  for (const key in value) {
    if (key === "__proto__") return refuse("a reserved name", `.${key}`);
    const item = copyAt((value as Record<string, unknown>)[key], depth);
    if (item === REFUSED) return refuse(refused, `.${key}${refusedPath}`);
    charsMax += key.length * ESCAPED + 4;
    if (item !== undefined) copy[key] = item;
  }
  return copy;
}

function describe(value: unknown): string {
  if (typeof value === "number") return String(value);
  if (value === undefined) return "undefined, which a list cannot hold";
  if (typeof value !== "object") return `a ${typeof value}`;
  return `an instance of ${value?.constructor.name ?? "a class"}, not plain data`;
}
