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
import { CLOCK_DRIFT_MAX, type HeartbeatTimes, LEASE_GUARD_MS } from "../base/limits.ts";

/** What the node knows of its lease. */
export type Lease =
  | {
      readonly kind: "held";
      readonly untilMs: number;
      readonly renewal: Renewal | undefined;
      readonly nextMs: number;
    }
  | { readonly kind: "fenced" };

/** A renewal that has been sent and not answered; there is one at a time (L2). */
export interface Renewal {
  readonly sentMs: number;
  readonly operation: number;
}

/** What happens to a lease. */
export type LeaseEvent =
  | { readonly kind: "tick"; readonly nowMs: number }
  | { readonly kind: "renewed"; readonly operation: number }
  | { readonly kind: "refused" };

/** What the node has to do. */
export type LeaseEffect =
  | { readonly kind: "renew"; readonly operation: number }
  | { readonly kind: "fence" };

/**
 * L5: silence of a session after which others may declare it dead, counted from when they received
 * its last renewal. Its owner counts from before it sent that, so it has suspended by then, if the
 * rates of both clocks are less than one percent off.
 */
export function silenceMsMax(leaseMs: number): number {
  return leaseMs * (1 + 2 * CLOCK_DRIFT_MAX) + LEASE_GUARD_MS;
}

/** The lease of a session whose record was created by an operation sent at `sentMs`. */
export function grantedLease(sentMs: number, times: HeartbeatTimes): Lease {
  return {
    kind: "held",
    untilMs: sentMs + times.timeoutMs,
    renewal: undefined,
    nextMs: sentMs + times.everyMs,
  };
}

/** Pure; see the file's header. */
export function stepLease(
  lease: Lease,
  event: LeaseEvent,
  times: HeartbeatTimes,
): [Lease, LeaseEffect | undefined] {
  if (lease.kind === "fenced") return [lease, undefined];
  switch (event.kind) {
    case "tick": {
      if (lease.renewal !== undefined || event.nowMs < lease.nextMs) return [lease, undefined];
      const operation = Math.floor(event.nowMs * 1_000);
      const renewal = { sentMs: event.nowMs, operation };
      const nextMs = event.nowMs + times.everyMs;
      return [
        { ...lease, renewal, nextMs },
        { kind: "renew", operation },
      ];
    }
    case "renewed": {
      if (lease.renewal?.operation !== event.operation) return [lease, undefined];
      const untilMs = lease.renewal.sentMs + times.timeoutMs;
      return [{ ...lease, untilMs, renewal: undefined }, undefined];
    }
    case "refused":
      return [{ kind: "fenced" }, { kind: "fence" }];
  }
}
