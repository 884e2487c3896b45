/**
 * The one error class and the table of its codes.
 *
 * An error here crosses processes, where `instanceof` means nothing, so programs branch on `code`.
 * On the wire travels `{ code, details }` alone; the message is rebuilt from them. Codes are never
 * renamed and never reused. Floor 0: pure.
 */

import { ERROR_TEXT_CHARS_MAX } from "./limits.ts";

/** Did the handler run? It decides whether a caller may try again. */
export type Executed = "no" | "maybe" | "yes";

/** Every code a {@link CatgaError} can carry. */
export type ErrorCode = keyof typeof CODES;

/** What each code carries, by the names in its text: plain JSON, because it crosses the wire. */
export type ErrorDetails = {
  [C in ErrorCode]: C extends keyof OtherDetails ? OtherDetails[C] : Named<(typeof CODES)[C]>;
};

/** Details that the text does not show, or that are of several types. */
interface OtherDetails {
  CALL_TIMEOUT: { entity: string; message: string; timeoutMs: number; executed: Executed };

  CANCELLED: { entity: string; message: string; executed: Executed };
  NO_QUORUM: { message: string; answered: number; needed: number; executed?: Executed };
  REJECTED: { entity: string; message: string; rejection: string; text: string; status: number };
  SETTINGS_DIFFER: { setting: string; ours: number | string; theirs: number | string };
}

type Named<Text> = {
  [N in Names<Text> as N extends `${infer Name}#` ? Name : N]: N extends `${string}#`
    ? number
    : string;
};
type Names<Text> = Text extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Names<Rest>
  : never;

/**
 * Every code and its text. `{name}` stands for the detail of that name: a text, or a number where
 * that is marked, as in `{bytes#}`.
 */
const CODES = {
  ACTIVATION_FAILED: 'Cannot activate "{entity}": {name}: {text}',
  BAD_LINE: "Cannot import line {line#}: {reason}",
  BALANCER_FAILED: 'Cannot route "{message}": its balancer {reason}',
  BROKER_LACKS: "Cannot use the broker at {address}: {what}",
  BROKER_READ_ONLY: "Cannot use the broker at {address}: it is a replica; name the primary",
  BROKER_REFUSED: "Cannot log in to the broker at {address}: {reason}",
  BROKER_TOO_OLD: "Cannot {purpose} with {broker}: needs {minimum}",
  BROKER_UNREACHABLE: "Cannot reach the broker at {address}: {reason}",
  CALL_CYCLE: 'Cannot send "{message}" to "{entity}", which waits for this call: {cycle}',
  CALL_TIMEOUT: 'Cannot finish "{message}" on "{entity}": no answer within {timeoutMs#} ms',
  CANCELLED: 'Cannot finish "{message}" on "{entity}": the caller\'s signal aborted',
  CHAIN_TOO_LONG: 'Cannot send "{message}" to "{entity}": more than {limit#} turns wait for it',
  CLUSTER_MISMATCH: 'Cannot join cluster "{ours}" at {address}: cluster "{theirs}" answers there',
  CLUSTER_STOPPED: 'Cannot use the cluster on node "{node}": it has stopped',
  ENTITY_SETS_DIFFER: "Cannot join with entities [{ours}]: live nodes host [{theirs}] together",
  FORBIDDEN: "Cannot {action}: you may not",
  HANDLER_FAILED: 'Cannot finish "{message}" on "{entity}": {name}: {text}',
  INVALID_ID: "Cannot address the entity: its id {reason}",
  INVALID_KEY: 'Cannot route "{message}": {reason}',
  INVALID_PAYLOAD: 'Cannot send "{message}" to "{entity}": {issues}',
  INVALID_REPLY: 'Cannot answer "{message}" of "{entity}": {issues}',
  MAILBOX_FULL: 'Cannot accept a message for "{entity}": {capacity#} are waiting',
  MALFORMED: "Cannot read the {what}: {reason}",
  MISSING_PACKAGE: 'Cannot {purpose}: run "npm install {package}"',
  NO_HANDLER: 'Cannot find a handler for "{message}": {reason}',
  NO_QUORUM: 'Cannot finish "{message}": {answered#} of {needed#} nodes answered',
  NODE_AWAY: 'Cannot reach node "{node}": it is away, and nobody else has its entities',
  NODE_ID_TAKEN: 'Cannot join as "{node}": a live node has this id',
  NOT_FOUND: 'Cannot find "{path}": there is no such route',
  NOT_STORED: 'Cannot look up what is stored of "{entity}": {reason}',
  OUTCOME_UNKNOWN: 'Cannot finish "{message}" on "{entity}", or tell whether it ran: {reason}',
  OVERLOADED: "Cannot take more {what}: there are {limit#}",
  PAYLOAD_NOT_ENCODABLE: 'Cannot send "{message}" to "{entity}": {path} is {found}',
  PORT_TAKEN: "Cannot use {address}: {reason}",
  PROTOCOL_MISMATCH: "Cannot talk to {address}: it speaks protocol {theirs#}, this node {ours#}",
  REJECTED: 'Cannot finish "{message}" on "{entity}": {text}',
  REPLY_NOT_ENCODABLE: 'Cannot answer "{message}" of "{entity}": {path} is {found}',
  REPLY_TOO_LARGE: 'Cannot answer "{message}" of "{entity}": {bytes#} bytes, at most {bytesMax#}',
  RUNTIME_TOO_OLD: "Cannot run on {runtime} {version}: {purpose} needs {minimum}",
  SETTINGS_DIFFER: "Cannot join with {setting} {ours}: it is {theirs} here",
  STATE_CORRUPT: 'Cannot read the stored state of "{entity}": {reason}',
  STATE_NOT_ENCODABLE: 'Cannot store the state of "{entity}": {reason}',
  STATE_TOO_LARGE: 'Cannot store the state of "{entity}": {bytes#} bytes, at most {bytesMax#}',
  STATE_TOO_NEW: 'Cannot read "{entity}": its state has version {theirs#}, this node knows {ours#}',
  STORE_UNAVAILABLE: "Cannot use the store {store}: {reason}",
  TOO_LARGE: "Cannot send the {what}: {bytes#} bytes, at most {bytesMax#}",
  UNAUTHENTICATED: "Cannot answer: {reason}",
  UNAVAILABLE: "Cannot reach the owner: {reason}",
  UNKNOWN_ENTITY: 'Cannot address "{entity}": no node hosts such entities',
  UNKNOWN_MESSAGE: 'Cannot send "{message}" to "{entity}": it has no such message',
  UNSAFE_SECRET: 'Cannot trust the secret file "{path}": {reason}',
  WRONG_SECRET: "Cannot talk to {address}: the two sides have different secrets",
} as const;

/** Whether the handler ran. Of other codes the details say so, or it did not. */
const EXECUTED: { readonly [C in ErrorCode]?: Executed } = {
  HANDLER_FAILED: "yes",
  INVALID_REPLY: "yes",
  OUTCOME_UNKNOWN: "maybe",
  REJECTED: "yes",
  REPLY_NOT_ENCODABLE: "yes",
  REPLY_TOO_LARGE: "yes",
  STATE_NOT_ENCODABLE: "yes",
  STATE_TOO_LARGE: "yes",
};

/**
 * The error of everything that catga refuses or cannot finish; branch on `code`, never on the text.
 */
export class CatgaError<C extends ErrorCode = ErrorCode> extends Error {
  readonly code: C;
  readonly details: Readonly<ErrorDetails[C]>;
  /**
   * Whether the handler ran: `"no"` may be retried, `"maybe"` only if running twice is harmless.
   */
  readonly executed: Executed;

  constructor(code: C, details: ErrorDetails[C], options?: { readonly cause?: unknown }) {
    const named = details as Readonly<Record<string, unknown>>;
    // What a peer sent in the place of a detail may be an object, and not every one has a text.
    const fill = (_: string, name: string): string =>
      named[name] instanceof Object ? "an object" : String(named[name]);
    super(CODES[code].replaceAll(/\{(\w+)#?\}/g, fill), options);
    this.name = "CatgaError";
    this.code = code;
    this.details = details;
    this.executed = (named["executed"] as Executed | undefined) ?? EXECUTED[code] ?? "no";
  }
}

/**
 * True for a {@link CatgaError}, and with `code` only for that code.
 * It looks at the name: two copies of the package may meet in one program.
 */
export function isCatgaError<C extends ErrorCode = ErrorCode>(
  error: unknown,
  code?: C,
): error is CatgaError<C> {
  if (!(error instanceof Error) || error.name !== "CatgaError") return false;
  return code === undefined || (error as CatgaError).code === code;
}

/** True for text that is one of the codes: what a peer sent is checked before it is believed. */
export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === "string" && Object.hasOwn(CODES, code);
}

/** Status of a rejection that names none: RFC 9110, section 15.5.10, a conflict with the state. */
const CONFLICT = 409;

/**
 * What a handler throws to say no: its caller gets REJECTED with `code` as `rejection`, and the
 * edge answers with `status`. Nothing is logged, for nothing is wrong. The text is for people.
 *
 * @example
 * if (ctx.state.balance < amount) throw new Rejection("INSUFFICIENT_FUNDS", { text: "No" });
 * @throws {TypeError} for a code that is not in capitals, or a status that is no refusal.
 */
export class Rejection extends Error {
  readonly code: string;
  /** 400 to 499. @default 409 */
  readonly status: number;

  constructor(code: string, options: { readonly text?: string; readonly status?: number } = {}) {
    const { text = code, status = CONFLICT } = options;
    super(text);
    if (!/^[A-Z][A-Z0-9_]{0,63}$/.test(code) || !(status >= 400 && status < 500)) {
      throw new TypeError(`Cannot reject with ${code}, ${status}: write CAPITALS and 400 to 499`);
    }
    this.name = "Rejection";
    this.code = code;
    this.status = status;
  }
}

/** What the caller of a handler that threw is told. */
export function failed(at: { entity: string; message: string }, thrown: unknown): CatgaError {
  const { name, text } = describeError(thrown);
  if (name !== "Rejection") {
    return new CatgaError("HANDLER_FAILED", { ...at, name, text }, { cause: thrown });
  }
  // Of another copy of the package, perhaps.
  const { code, status = CONFLICT } = thrown as Partial<Rejection>;
  return new CatgaError("REJECTED", { ...at, rejection: String(code), text, status });
}

/** The name and the text of anything that was thrown: what may leave this process of it. */
export function describeError(thrown: unknown): { readonly name: string; readonly text: string } {
  try {
    // The code says more than that one class has, and programs may act on it.
    if (isCatgaError(thrown)) return { name: cut(thrown.code), text: cut(thrown.message) };
    if (thrown instanceof Error) return { name: cut(thrown.name), text: cut(thrown.message) };
    return { name: typeof thrown, text: cut(thrown) };
  } catch {
    // What cannot even be read as text was thrown by user code, and must not stop ours.
    return { name: typeof thrown, text: "something that cannot be shown as text" };
  }
}

/** `text` as far as an error carries it over a link. */
export function cut(text: unknown): string {
  return String(text).slice(0, ERROR_TEXT_CHARS_MAX);
}
