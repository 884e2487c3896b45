/** What a client throws: the answer of the edge, or why there is none. */
import type { ErrorCode } from "../base/errors.ts";

/**
 * A code of catga, or of a handler's `Rejection`; and of the client itself: `NETWORK_FAILED` when
 * there was no answer, or not all of it, `UNEXPECTED_ANSWER` for one that no edge gives.
 */
export type ClientErrorCode =
  | ErrorCode
  | "INTERNAL"
  | "NETWORK_FAILED"
  | "UNEXPECTED_ANSWER"
  | (string & {});

/** What a {@link CatgaClientError} says. */
export interface ClientFailure {
  /** For people; programs branch on `code`. */
  readonly detail: string;
  /** Of the answer, if there was one. */
  readonly status?: number | undefined;
  /** True when nothing has run, and the same request may succeed later. @default false */
  readonly retryable?: boolean;
  /** Whether it ran. @default "maybe", unless it is `retryable` */
  readonly executed?: "no" | "maybe";
  /** Leads to the log of the edge. */
  readonly requestId?: string | undefined;
  /** When the edge wants to be asked again. */
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** Everything that a client rejects with, but for wrong arguments; branch on `code`. */
export class CatgaClientError extends Error {
  readonly code: ClientErrorCode;
  readonly detail: string;
  readonly status: number | undefined;
  readonly retryable: boolean;
  /** `"no"` may be sent again, `"maybe"` only if running twice is harmless. */
  readonly executed: "no" | "maybe";
  readonly requestId: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: ClientErrorCode, failure: ClientFailure) {
    super(failure.detail, { cause: failure.cause });
    const { retryable = false } = failure;
    this.name = "CatgaClientError";
    this.code = code;
    this.detail = failure.detail;
    this.status = failure.status;
    this.retryable = retryable;
    this.executed = failure.executed ?? (retryable ? "no" : "maybe");
    this.requestId = failure.requestId;
    this.retryAfterMs = failure.retryAfterMs;
  }
}

/** True for a {@link CatgaClientError}, and with `code` only for that code. */
export function isClientError(error: unknown, code?: ClientErrorCode): error is CatgaClientError {
  // By its name: two copies of the package may meet in one program.
  if (!(error instanceof Error) || error.name !== "CatgaClientError") return false;
  return code === undefined || (error as CatgaClientError).code === code;
}
