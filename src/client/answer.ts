/** What the edge has answered: a value, or a problem (RFC 9457). */
import type { ClientClock } from "./clock.ts";
import { CatgaClientError } from "./error.ts";

/** What is read of an answer. */
export type Answer = Pick<Response, "status" | "headers">;

/**
 * The value in an answer whose whole body is `text`.
 *
 * @throws {CatgaClientError} the problem in it, UNEXPECTED_ANSWER, or NETWORK_FAILED when it ended
 * early, which not every runtime notices by itself.
 */
export function valueOf(answer: Answer, text: string, clock: ClientClock): unknown {
  const { status } = answer;
  if (status === 202 || status === 204) return undefined;
  if (status !== 200 || !isOf(answer, "application/json")) throw refusalOf(answer, text, clock);
  try {
    return JSON.parse(text);
  } catch (cause) {
    const detail = "Cannot read the answer: it ended early";
    throw new CatgaClientError("NETWORK_FAILED", { detail, cause });
  }
}

/** True when that is its media type. */
export function isOf({ headers }: Answer, type: string): boolean {
  return (headers.get("Content-Type") ?? "").split(";", 1).join().trim().toLowerCase() === type;
}

/** The error that an answer is; `text` is its body. */
export function refusalOf(answer: Answer, text: string, clock: ClientClock): CatgaClientError {
  const { status, headers } = answer;
  const problem = isOf(answer, "application/problem+json") ? problemIn(text) : undefined;
  const detail = `Cannot use the answer: its status is ${status}, and it is not of an edge`;
  return new CatgaClientError(problem?.code ?? "UNEXPECTED_ANSWER", {
    detail: problem?.detail ?? detail,
    status,
    retryable: problem?.retryable === true,
    requestId: problem?.requestId ?? headers.get("X-Request-Id") ?? undefined,
    retryAfterMs: msOf(headers.get("Retry-After"), clock),
  });
}

interface Problem {
  readonly code: string;
  readonly detail?: string;
  readonly retryable?: boolean;
  readonly requestId?: string;
}

function problemIn(text: string): Problem | undefined {
  try {
    const problem = JSON.parse(text) as Partial<Problem> | null;
    return typeof problem?.code === "string" ? (problem as Problem) : undefined;
  } catch {
    return undefined; // It says nothing beyond its status.
  }
}

/** RFC 9110, section 10.2.3: seconds, or a date. */
function msOf(retryAfter: string | null, clock: ClientClock): number | undefined {
  if (retryAfter === null) return undefined;
  const ms = /^\d+$/.test(retryAfter)
    ? Number(retryAfter) * 1_000
    : Date.parse(retryAfter) - clock.wallMs();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}
