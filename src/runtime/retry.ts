/**
 * Calls that are sent again when they fail. A command goes under a key, so that the dedup window of
 * its entity makes it run once; a query may run as often as it likes. After the death of an owner
 * nobody remembers what it ran: a command that may have run there is never sent again blindly.
 *
 * Waits double, with equal jitter. Source: Brooker, "Exponential Backoff And Jitter", 2015.
 */
import { CatgaError, type ErrorCode } from "../base/errors.ts";
import { RETRY_MS, RETRY_MS_MAX } from "../base/limits.ts";
import type { Sending } from "./call.ts";
import type { MessageKind } from "./definition.ts";
import type { Router } from "./router.ts";

/** Failures that another try may not meet; all others would come again. */
const PASSING: readonly ErrorCode[] = [
  "ACTIVATION_FAILED",
  "CALL_TIMEOUT",
  "MAILBOX_FULL",
  "OVERLOADED",
  "UNAVAILABLE",
];

/** How often, and what the message does if the sender knows. */
export interface Retrying {
  readonly retries: number;
  readonly kind: MessageKind | undefined;
}

/** Sends up to `retries` times more than once; rejects with the last failure. */
export async function sendRetrying(
  router: Router,
  sending: Sending,
  { retries, kind = router.kindOf(sending) }: Retrying,
): Promise<unknown> {
  const { context } = router;
  const { clock, options } = context;
  const { random } = options;
  const key = sending.dedup?.key ?? random.text(26);
  let since = 0;
  for (let tries = 0; ; tries++) {
    const { epoch = 1 } = router.recordOf(sending) ?? {};
    try {
      return await router.send({ ...sending, dedup: { key, since } });
    } catch (error) {
      const isPassing = error instanceof CatgaError && mayPass(error, kind);
      const isOver = sending.signal?.aborted === true || context.refusal !== undefined;
      const waitMs = Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** tries) * (0.5 + random.fraction() / 2);
      const isLate = clock.nowMs() + waitMs >= sending.boundMs;
      if (tries === retries || !isPassing || isOver || isLate) throw error;
      // From here on the key must still be known where it may have run.
      if (error.executed !== "no" && since === 0) since = epoch;
      await new Promise<void>((resolve) => void clock.after(waitMs, resolve));
    }
  }
}

function mayPass({ code }: CatgaError, kind: MessageKind | undefined): boolean {
  return PASSING.includes(code) || (kind === "query" && code === "OUTCOME_UNKNOWN");
}
