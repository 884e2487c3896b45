/**
 * Every error that leaves the edge: problem details (RFC 9457, section 3).
 *
 * The table below names a status and a title for each code; one that is forgotten does not compile.
 * Nothing of a failure inside goes out: what answers 500 has a text of its own, and the request id
 * leads to the log.
 */
import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { CatgaError, type ErrorCode, isCatgaError, type Logger } from "../index.ts";

/** The body of an error, served as `application/problem+json`. */
export interface Problem {
  /** `urn:catga:error:` and the code. */
  readonly type: string;
  /** The same for all problems of one type. */
  readonly title: string;
  readonly status: number;
  /** For people; programs branch on `code`. */
  readonly detail: string;
  /** The path that was asked for. */
  readonly instance: string;
  /**
   * An `ErrorCode`, or that of a handler's `Rejection`. `INTERNAL` is the edge's own: an error that
   * should not be, written to its log.
   */
  readonly code: string;
  /** True when nothing has run and the same request may succeed later. */
  readonly retryable: boolean;
  readonly requestId: string;
}

type Face = readonly [status: ContentfulStatusCode, title: string];

const INTERNAL: Face = [500, "Internal error"];

const FACES = {
  ACTIVATION_FAILED: [500, "Activation failed"],
  BAD_LINE: INTERNAL,
  BALANCER_FAILED: [500, "Balancer failed"],
  BROKER_LACKS: INTERNAL,
  BROKER_READ_ONLY: INTERNAL,
  BROKER_REFUSED: INTERNAL,
  BROKER_TOO_OLD: INTERNAL,
  BROKER_UNREACHABLE: [503, "Broker unreachable"],
  CALL_CYCLE: [500, "Call cycle"],
  CALL_TIMEOUT: [504, "No answer in time"],
  // Whoever asked has hung up: the status is for what stands between.
  CANCELLED: [504, "Cancelled"],
  CHAIN_TOO_LONG: [500, "Call chain too long"],
  CLUSTER_MISMATCH: INTERNAL,
  CLUSTER_STOPPED: [503, "Node stopped"],
  ENTITY_SETS_DIFFER: INTERNAL,
  FORBIDDEN: [403, "Forbidden"],
  HANDLER_FAILED: [500, "Handler failed"],
  INVALID_ID: [400, "Invalid id"],
  INVALID_KEY: [422, "Invalid key"],
  INVALID_PAYLOAD: [422, "Invalid payload"],
  INVALID_REPLY: [500, "Invalid reply"],
  MAILBOX_FULL: [429, "Mailbox full"],
  MALFORMED: [400, "Malformed request"],
  MISSING_PACKAGE: INTERNAL,
  NO_HANDLER: [503, "No handler"],
  NO_QUORUM: [503, "No quorum"],
  NODE_AWAY: [503, "Node away"],
  NODE_ID_TAKEN: INTERNAL,
  NOT_FOUND: [404, "Not found"],
  NOT_STORED: INTERNAL,
  OUTCOME_UNKNOWN: [504, "Outcome unknown"],
  OVERLOADED: [429, "Overloaded"],
  PAYLOAD_NOT_ENCODABLE: [400, "Payload not encodable"],
  PORT_TAKEN: INTERNAL,
  PROTOCOL_MISMATCH: INTERNAL,
  REJECTED: [409, "Rejected"],
  REPLY_NOT_ENCODABLE: [500, "Reply not encodable"],
  REPLY_TOO_LARGE: [500, "Reply too large"],
  RUNTIME_TOO_OLD: INTERNAL,
  SETTINGS_DIFFER: INTERNAL,
  STATE_CORRUPT: INTERNAL,
  STATE_NOT_ENCODABLE: INTERNAL,
  STATE_TOO_LARGE: INTERNAL,
  STATE_TOO_NEW: INTERNAL,
  STORE_UNAVAILABLE: [503, "Store unavailable"],
  TOO_LARGE: [413, "Too large"],
  UNAUTHENTICATED: [401, "Unauthenticated"],
  UNAVAILABLE: [503, "Owner unavailable"],
  UNKNOWN_ENTITY: [404, "Unknown entity"],
  UNKNOWN_MESSAGE: [404, "Unknown message"],
  UNSAFE_SECRET: INTERNAL,
  WRONG_SECRET: INTERNAL,
} as const satisfies Record<ErrorCode, Face>;

/** See {@link Refusal}. */
const REFUSALS: readonly [string, readonly [number]][] = [
  ["MALFORMED", [405]],
  ["TOO_LARGE", [414]],
  ["MALFORMED", [415]],
];
const PASSING: readonly number[] = [429, 503, 504];
const RETRY_AFTER_SECONDS = "1";

/** The codes of each status that the edge answers with; rejections may have others. */
export const codesByStatus: ReadonlyMap<number, readonly string[]> = byStatus();

function byStatus(): ReadonlyMap<number, readonly string[]> {
  const codes = new Map<number, string[]>();
  const faces: [string, Face][] = Object.entries({ ...FACES, INTERNAL });
  for (const [code, [status]] of [...faces, ...REFUSALS]) {
    codes.set(status, [...(codes.get(status) ?? []), code]);
  }
  return codes;
}

/** A refusal of the edge itself, whose status is not the one of its code: 405, 414, 415 or 426. */
export class Refusal extends Error {
  readonly error: CatgaError;
  readonly status: ContentfulStatusCode;

  constructor(error: CatgaError, status: ContentfulStatusCode) {
    super(error.message);
    this.name = "Refusal";
    this.error = error;
    this.status = status;
  }
}

/** Answers anything that was thrown; what the caller is not told goes to `log`. */
export function answerError(thrown: Error, c: Context, log: Logger | undefined): Response {
  if (thrown instanceof Refusal) return answerProblem(c, thrown.error, thrown.status);
  if (isCatgaError(thrown)) {
    const [status] = faceOf(thrown);
    if (status === 500) logFailure(thrown, c, log);
    return answerProblem(c, thrown, status);
  }
  if (isCutOff(thrown, c)) {
    const details = { what: "request", reason: "it ended early" };
    return answerProblem(c, new CatgaError("MALFORMED", details, { cause: thrown }), 400);
  }
  logFailure(thrown, c, log);
  return answer(c, { code: "INTERNAL", face: INTERNAL, detail: hidden(c), retryable: false });
}

/** Answers with `error`; `status` is the one of its code unless the edge knows better. */
export function answerProblem(
  c: Context,
  error: CatgaError,
  status: ContentfulStatusCode = faceOf(error)[0],
): Response {
  const detail = status === 500 ? hidden(c) : error.message;
  const retryable = error.executed === "no" && PASSING.includes(status);
  const [, title] = faceOf(error);
  const code = isCatgaError(error, "REJECTED") ? error.details.rejection : error.code;
  return answer(c, { code, face: [status, title], detail, retryable });
}

/** The runtimes disagree on what comes first: the end of the body, or that of the request. */
function isCutOff(thrown: Error, c: Context): boolean {
  return c.req.raw.signal.aborted || ("code" in thrown && thrown.code === "ECONNRESET");
}

interface Answer extends Pick<Problem, "code" | "detail" | "retryable"> {
  readonly face: Face;
}

function answer(c: Context, { code, face: [status, title], detail, retryable }: Answer): Response {
  const problem: Problem = {
    type: `urn:catga:error:${code}`,
    title,
    status,
    detail,
    // With an odd `Host`, Bun has no URL.
    instance: URL.canParse(c.req.url) ? new URL(c.req.url).pathname : "/",
    code,
    retryable,
    requestId: c.get("requestId"),
  };
  if (status === 429 || status === 503) c.header("Retry-After", RETRY_AFTER_SECONDS);
  c.header("Content-Type", "application/problem+json");
  return c.body(JSON.stringify(problem), status);
}

// Two copies of the package may meet in one program, and the other may know more codes.
function faceOf(error: CatgaError): Face {
  if (isCatgaError(error, "REJECTED")) return [error.details.status as 409, FACES.REJECTED[1]];
  const face = Object.hasOwn(FACES, error.code) ? FACES[error.code] : INTERNAL;
  // To be asked again is for what has not run.
  return face[0] === 503 && error.executed !== "no" ? [504, face[1]] : face;
}

function hidden(c: Context): string {
  return `Cannot finish the request: see request ${c.get("requestId")} in the log`;
}

function logFailure(error: Error, c: Context, log: Logger | undefined): void {
  const { method, path } = c.req;
  log?.error({ requestId: c.get("requestId"), method, path, err: error }, "a request failed");
}
