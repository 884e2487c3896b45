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

/** What each code carries: plain JSON, because it crosses the wire. */
export interface ErrorDetails {
  ACTIVATION_FAILED: { entity: string; name: string; text: string };
  CALL_TIMEOUT: { entity: string; message: string; timeoutMs: number; executed: Executed };
  CANCELLED: { entity: string; message: string; executed: Executed };
  CLUSTER_MISMATCH: { ours: string; theirs: string; address: string };
  CLUSTER_STOPPED: { node: string };
  ENTITY_SETS_DIFFER: { ours: string; theirs: string };
  HANDLER_FAILED: { entity: string; message: string; name: string; text: string };
  INVALID_ID: { reason: string };
  INVALID_PAYLOAD: { entity: string; message: string; issues: string };
  INVALID_REPLY: { entity: string; message: string; issues: string };
  MAILBOX_FULL: { entity: string; capacity: number };
  MALFORMED: { what: string; reason: string };
  MISSING_PACKAGE: { package: string; purpose: string };
  NODE_ID_TAKEN: { node: string };
  NOT_FOUND: { path: string };
  OUTCOME_UNKNOWN: { entity: string; message: string; reason: string };
  OVERLOADED: { what: string; limit: number };
  PAYLOAD_NOT_ENCODABLE: { entity: string; message: string; path: string; found: string };
  PORT_TAKEN: { address: string; reason: string };
  PROTOCOL_MISMATCH: { ours: number; theirs: number; address: string };
  REPLY_NOT_ENCODABLE: { entity: string; message: string; path: string; found: string };
  REPLY_TOO_LARGE: { entity: string; message: string; bytes: number; bytesMax: number };
  RUNTIME_TOO_OLD: { runtime: string; version: string; minimum: string };
  SETTINGS_DIFFER: { setting: string; ours: number; theirs: number };
  TOO_LARGE: { what: string; bytes: number; bytesMax: number };
  UNAVAILABLE: { reason: string };
  UNKNOWN_ENTITY: { entity: string };
  UNKNOWN_MESSAGE: { entity: string; message: string };
  UNSAFE_SECRET: { path: string; reason: string };
  WRONG_SECRET: { address: string };
}

/** Every code a {@link CatgaError} can carry. */
export type ErrorCode = keyof ErrorDetails;

/** Whether the handler ran (`"details"`: only the instance knows), and the text. */
type CodeSpec<D> = readonly [executed: Executed | "details", text: (details: D) => string];

const CODES: { readonly [C in ErrorCode]: CodeSpec<ErrorDetails[C]> } = {
  ACTIVATION_FAILED: ["no", (d) => `Cannot activate "${d.entity}": ${d.name}: ${d.text}`],
  CALL_TIMEOUT: ["details", (d) => `${cannotFinish(d)}: no answer within ${d.timeoutMs} ms`],
  CANCELLED: ["details", (d) => `${cannotFinish(d)}: the caller's signal aborted`],
  CLUSTER_MISMATCH: [
    "no",
    (d) => `Cannot join cluster "${d.ours}" at ${d.address}: cluster "${d.theirs}" answers there`,
  ],
  CLUSTER_STOPPED: ["no", (d) => `Cannot use the cluster on node "${d.node}": it has stopped`],
  ENTITY_SETS_DIFFER: [
    "no",
    (d) => `Cannot join with entities [${d.ours}]: live nodes host [${d.theirs}] together`,
  ],
  HANDLER_FAILED: ["yes", (d) => `${cannotFinish(d)}: ${d.name}: ${d.text}`],
  INVALID_ID: ["no", (d) => `Cannot address the entity: its id ${d.reason}`],
  INVALID_PAYLOAD: ["no", (d) => `${cannotSend(d)}: ${d.issues}`],
  INVALID_REPLY: ["yes", (d) => `${cannotAnswer(d)}: ${d.issues}`],
  MAILBOX_FULL: [
    "no",
    (d) => `Cannot accept a message for "${d.entity}": ${d.capacity} are waiting`,
  ],
  MALFORMED: ["no", (d) => `Cannot read the ${d.what}: ${d.reason}`],
  MISSING_PACKAGE: ["no", (d) => `Cannot ${d.purpose}: run "npm install ${d.package}"`],
  NODE_ID_TAKEN: ["no", (d) => `Cannot join as "${d.node}": a live node has this id`],
  NOT_FOUND: ["no", (d) => `Cannot find "${d.path}": there is no such route`],
  OUTCOME_UNKNOWN: ["maybe", (d) => `${cannotFinish(d)}, or tell whether it ran: ${d.reason}`],
  OVERLOADED: ["no", (d) => `Cannot take more ${d.what}: ${d.limit} are waiting`],
  PAYLOAD_NOT_ENCODABLE: ["no", (d) => `${cannotSend(d)}: ${d.path} is ${d.found}`],
  PORT_TAKEN: ["no", (d) => `Cannot use ${d.address}: ${d.reason}`],
  PROTOCOL_MISMATCH: [
    "no",
    (d) => `Cannot talk to ${d.address}: it speaks protocol ${d.theirs}, this node ${d.ours}`,
  ],
  REPLY_NOT_ENCODABLE: ["yes", (d) => `${cannotAnswer(d)}: ${d.path} is ${d.found}`],
  REPLY_TOO_LARGE: ["yes", (d) => `${cannotAnswer(d)}: ${tooLarge(d)}`],
  RUNTIME_TOO_OLD: ["no", (d) => `Cannot run on ${d.runtime} ${d.version}: needs ${d.minimum}`],
  SETTINGS_DIFFER: ["no", (d) => `Cannot join with ${d.setting} ${d.ours}: it is ${d.theirs} here`],
  TOO_LARGE: ["no", (d) => `Cannot send the ${d.what}: ${tooLarge(d)}`],
  UNAVAILABLE: ["no", (d) => `Cannot reach the owner: ${d.reason}`],
  UNKNOWN_ENTITY: ["no", (d) => `Cannot address "${d.entity}": no node hosts such entities`],
  UNKNOWN_MESSAGE: ["no", (d) => `${cannotSend(d)}: it has no such message`],
  UNSAFE_SECRET: ["no", (d) => `Cannot trust the secret file "${d.path}": ${d.reason}`],
  WRONG_SECRET: ["no", (d) => `Cannot talk to ${d.address}: the two sides have different secrets`],
};

interface Subject {
  readonly entity: string;
  readonly message: string;
}

function cannotFinish({ entity, message }: Subject): string {
  return `Cannot finish "${message}" on "${entity}"`;
}

function cannotSend({ entity, message }: Subject): string {
  return `Cannot send "${message}" to "${entity}"`;
}

function cannotAnswer({ entity, message }: Subject): string {
  return `Cannot answer "${message}" of "${entity}"`;
}

function tooLarge({ bytes, bytesMax }: { bytes: number; bytesMax: number }): string {
  return `${bytes} bytes, at most ${bytesMax}`;
}

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
    const [executed, text] = CODES[code] as CodeSpec<ErrorDetails[C]>;
    super(text(details), options);
    this.name = "CatgaError";
    this.code = code;
    this.details = details;
    this.executed =
      executed === "details" ? (details as { executed: Executed }).executed : executed;
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

/** The name and the text of anything that was thrown: what may leave this process of it. */
export function describeError(thrown: unknown): { readonly name: string; readonly text: string } {
  try {
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
