/**
 * Calls that are sent again when they fail. A command goes under a key, so that the dedup window of
 * its entity makes it run once; a query may run as often as it likes. After the death of an owner
 * nobody remembers what it ran: a command that may have run there is never sent again blindly.
 */
import { backoffMs } from "../base/backoff.ts";
import { CatgaError, type ErrorCode } from "../base/errors.ts";
import { RETRY } from "../base/limits.ts";
import type { Sending } from "./call.ts";
import type { MessageKind } from "./definition.ts";
import type { Router } from "./router.ts";

/** Failures that another try may not meet; all others would come again. */
const PASSING: readonly ErrorCode[] = [
  "ACTIVATION_FAILED",
  "CALL_TIMEOUT",
  "MAILBOX_FULL",
  "NODE_AWAY",
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
  door: { readonly router: Router },
  sending: Sending,
  { retries, kind = door.router.kindOf(sending) }: Retrying,
): Promise<unknown> {
  const { clock, options } = door.router.context;
  const { random } = options;
  const key = sending.dedup?.key ?? random.text(26);
  let since = 0;
  for (let tries = 0; ; tries++) {
    const { router } = door;
    const { epoch = 1 } = router.recordOf(sending) ?? {};
    try {
      return await router.send({ ...sending, dedup: { key, since } });
    } catch (error) {
      const isPassing = error instanceof CatgaError && mayPass(error, kind);
      const isOver = sending.signal?.aborted === true;
      const waitMs = backoffMs(tries, RETRY, random);
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
