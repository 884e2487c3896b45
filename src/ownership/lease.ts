/**
 * The session lease: how long this node may act, decided without a broker's clock.
 *
 * A renewal is a compare-and-set on the node's own session record. The owner counts from *before*
 * it sent the renewal (L1), never from the answer; whoever wants to take over needs a
 * compare-and-set that would have made the renewal fail. A lapse suspends: nothing is accepted or
 * started, memory is kept; a later renewal continues as if nothing had happened (L4), since nobody
 * can have taken over. A record that says `dead` fences for good. Pure: time comes in with the
 * events. Source: Gray and Cheriton, "Leases", 1989; the rules L1 to L6 stand in CONTRIBUTING.md.
 */
import type { HeartbeatTimes } from "../base/limits.ts";

/** What the node knows of its lease. */
export type Lease =
  | {
      readonly kind: "held";
      readonly untilMs: number;
      readonly nextMs: number;
      /** When the renewal was sent that is not answered yet; there is one at a time (L2). */
      readonly sentMs: number | undefined;
    }
  | { readonly kind: "fenced" };

/** What happens to a lease. */
export type LeaseEvent =
  | { readonly kind: "tick"; readonly nowMs: number }
  | { readonly kind: "renewed"; readonly operation: number }
  | { readonly kind: "refused" };

/** What the node has to do. */
export type LeaseEffect =
  /** Named by when it is sent. */
  { readonly kind: "renew"; readonly operation: number } | { readonly kind: "fence" };

/** The lease of a session whose record was created by an operation sent at `sentMs`. */
export function grantedLease(sentMs: number, { timeoutMs, everyMs }: HeartbeatTimes): Lease {
  return { kind: "held", untilMs: sentMs + timeoutMs, nextMs: sentMs + everyMs, sentMs: undefined };
}

type Step = [Lease, LeaseEffect | undefined];

/** Pure; see the file's header. */
export function stepLease(lease: Lease, event: LeaseEvent, times: HeartbeatTimes): Step {
  if (lease.kind === "fenced") return [lease, undefined];
  switch (event.kind) {
    case "tick": {
      const { nowMs } = event;
      if (lease.sentMs !== undefined || nowMs < lease.nextMs) return [lease, undefined];
      const waiting = { ...lease, nextMs: nowMs + times.everyMs, sentMs: nowMs };
      return [waiting, { kind: "renew", operation: nowMs }];
    }
    case "renewed": {
      if (lease.sentMs !== event.operation) return [lease, undefined];
      const untilMs = lease.sentMs + times.timeoutMs;
      return [{ ...lease, untilMs, sentMs: undefined }, undefined];
    }
    case "refused":
      return [{ kind: "fenced" }, { kind: "fence" }];
  }
}
