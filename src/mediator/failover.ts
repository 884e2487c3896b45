/**
 * What becomes of a call that a node did not answer, or refused.
 *
 * It is tried again only where that is harmless and may help: if it certainly did not run, or may
 * run twice, and if another node, or the same one later, may answer otherwise. A handler that threw
 * has answered. That holds for queries too: they would throw elsewhere as well, three more times,
 * and a message that brings down what reads it must not go round the cluster. Nobody is tried twice
 * as long as there is somebody who has not been tried.
 */
import { type Backoff, backoffMs } from "../base/backoff.ts";
import type { CatgaError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { WINDOW_LOST } from "../runtime/dedup-window.ts";
import type { Verdict } from "./breaker.ts";

/** A call whose last try has failed. */
export interface FailedCall {
  readonly error: CatgaError;
  /** Where it has been, the last try last, a node as often as it was tried. */
  readonly tried: readonly string[];
  /** Who may be tried now, the circuits asked: nodes among them that were tried count as well. */
  readonly candidates: readonly string[];
  /** True for queries; commands with a key go by `retry.ts`. */
  readonly mayRunTwice: boolean;
  /** Until its deadline. */
  readonly leftMs: number;
}

/** How often and how soon a call is tried again. */
export interface FailoverLimits {
  readonly maxRetries: number;
  readonly retry: Backoff;
}

/** The node had no time or no place for it: it is well, and another one may have both. */
const BUSY: readonly string[] = ["MAILBOX_FULL", "NO_HANDLER", "OVERLOADED"];
/** The node was not heard. */
const SILENT: readonly string[] = ["CALL_TIMEOUT", "NODE_AWAY", "OUTCOME_UNKNOWN", "UNAVAILABLE"];
/** Everything else would come again wherever the call went. */
const PASSING: readonly string[] = [...BUSY, ...SILENT, "STORE_UNAVAILABLE", "ACTIVATION_FAILED"];

/**
 * After how many milliseconds it is tried again, by whom {@link excluded} does not name then; or
 * nothing when the error is the caller's. Pure but for the jitter.
 */
export function failover(
  failed: FailedCall,
  { maxRetries, retry }: FailoverLimits,
  random: Random,
): number | undefined {
  const { error, tried, candidates, mayRunTwice, leftMs } = failed;
  const mayRunAgain = error.executed === "no" || (error.executed === "maybe" && mayRunTwice);
  if (tried.length > maxRetries || !mayRunAgain || !isPassing(error)) return undefined;
  const hasOthers = candidates.some((node) => !tried.includes(node));
  const isAtOnce = hasOthers && BUSY.includes(error.code);
  const waitMs = isAtOnce ? 0 : backoffMs(tried.length - 1, retry, random);
  return waitMs < leftMs ? waitMs : undefined;
}

/**
 * Who of `candidates` must not get the next try: whoever was tried; when all were, the last one;
 * when there is no other one, nobody.
 */
export function excluded(tried: readonly string[], candidates: readonly string[]): string[] {
  const used = candidates.filter((node) => tried.includes(node));
  if (used.length < candidates.length) return used;
  return candidates.length > 1 ? used.filter((node) => node === tried.at(-1)) : [];
}

/**
 * What an answer with this error says of the node, for its circuit. That it is busy does not count
 * against it, nor what its handler threw; of the caller's own mistakes it knows nothing.
 */
export function verdictOn({ code, executed }: CatgaError): Verdict {
  if (SILENT.includes(code)) return "failed";
  return executed === "yes" || BUSY.includes(code) ? "succeeded" : "given-up";
}

/**
 * Failures that another try may not meet. A command whose key nobody remembers any more may have
 * run, whatever its key promised.
 */
export function isPassing({ code, details }: CatgaError): boolean {
  return PASSING.includes(code) && (details as { reason?: unknown }).reason !== WINDOW_LOST;
}
