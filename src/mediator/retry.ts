/**
 * Calls of entities that are sent again when they fail. A command goes under a key, so that the
 * dedup window of its entity makes it run once; without one it is sent again only when it did not
 * run. A query may run as often as it likes. After the death of an owner nobody remembers what it
 * ran: a command that may have run there is never sent again blindly.
 */
import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { CatgaError } from "../base/errors.ts";
import { RETRY } from "../base/limits.ts";
import type { Sending } from "../runtime/call.ts";
import type { Router } from "../runtime/router.ts";
import { isPassing } from "./failover.ts";

/** Where calls are sent; another node may stand behind it the next time. */
export interface Door {
  readonly router: Router;
}

/** How a call is sent again. */
export interface Persistent {
  /** Tries after the first one. */
  readonly retries: number;
  /** Unknown is a command. */
  readonly kind: "command" | "query" | "event" | undefined;
  readonly key: string | undefined;
  /** Before each try; what it throws is the end. */
  readonly check?: (() => void) | undefined;
}

/** Sends up to `retries` times more than once; rejects with the last failure. */
export async function sendAgain(
  door: Door,
  sending: Sending,
  { retries, kind, key, check }: Persistent,
): Promise<unknown> {
  const { clock, options } = door.router.context;
  let since = 0;
  let doubt: CatgaError | undefined;
  for (let tries = 0; ; tries++) {
    const { router } = door;
    const epoch = key === undefined ? 0 : epochOf(router, sending);
    try {
      check?.();
      const call = key === undefined ? sending : { ...sending, dedup: { key, since } };
      return await again(router, call, { tries, send: (each) => router.send(each) });
    } catch (error) {
      const isPassing = error instanceof CatgaError && mayPass(error, { kind, key });
      const isOver = sending.signal?.aborted === true;
      const waitMs = backoffMs(tries, RETRY, options.random);
      const isLate = clock.nowMs() + waitMs >= sending.boundMs;
      if (tries === retries || !isPassing || isOver || isLate) throw honest(error, doubt);
      // From here on the key must still be known where it may have run.
      if (error.executed !== "no" && since === 0) since = epoch;
      if (error.executed !== "no") doubt = error;
      await pause(clock, waitMs, sending.signal);
    }
  }
}

interface Try {
  /** Before this one. */
  readonly tries: number;
  readonly send: (sending: Sending) => Promise<unknown>;
}

/** Sends; a try after the first one has a span of its own in that of the call. */
export function again(
  { context }: Router,
  sending: Sending,
  { tries, send }: Try,
): Promise<unknown> {
  const { tracer } = context;
  return tries === 0 || tracer === undefined ? send(sending) : tracer.call("retry", sending, send);
}

function epochOf({ context }: Router, { entity, id }: Sending): number {
  return context.recordOf(entity, id)?.epoch ?? 1;
}

/** Waits, but not beyond the end of `signal`. */
export function pause(clock: Clock, waitMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(waitMs, done);
    signal?.addEventListener("abort", done);
    if (signal?.aborted === true) done();
  });
}

/** That the last try did not run says nothing of one before it that may have. */
function honest(error: unknown, doubt: CatgaError | undefined): unknown {
  return error instanceof CatgaError && error.executed === "no" ? (doubt ?? error) : error;
}

/**
 * A command that may have run goes to whoever has its key. What nobody handles is handled nowhere
 * else either: its key has one owner.
 */
function mayPass(error: CatgaError, { kind, key }: Pick<Persistent, "kind" | "key">): boolean {
  if (!isPassing(error) || error.code === "NO_HANDLER") return false;
  return kind === "query" || error.executed === "no" || key !== undefined;
}
