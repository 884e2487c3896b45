/**
 * The circuit of one node and one type of message: whether calls go there, decided without a clock.
 *
 * So many failures in a row open it, and calls go elsewhere. After a while one call may try, the
 * probe; all others still go elsewhere. Its answer closes the circuit, its failure opens it again
 * for twice as long. A probe that ended without saying anything of the node, because its caller
 * cancelled, makes room for the next one at once. Only the probe counts while the circuit is not
 * closed: what was sent before it opened says how the node was. Nygard, "Release It!", 2007.
 *
 * What a failure is, `verdictOn` of failover.ts says. Pure: time comes in with the events.
 */
import type { Backoff } from "../base/backoff.ts";

/** What is known of the node. Most circuits are {@link CLOSED}; nothing need be kept of those. */
export type Circuit =
  /** With so many failures in a row. */
  | { readonly kind: "closed"; readonly failures: number }
  /** Waited or waits `waitMs`. */
  | { readonly kind: "open"; readonly untilMs: number; readonly waitMs: number }
  /** `probe` is the call that tries. */
  | { readonly kind: "half-open"; readonly probe: number; readonly waitMs: number };

/**
 * What happens to a circuit. Whoever says that a call was sent also says how it ended, exactly
 * once. `call` is a number that no other call has.
 */
export type CircuitEvent =
  | { readonly kind: "sent"; readonly call: number; readonly nowMs: number }
  | { readonly kind: Verdict; readonly call: number; readonly nowMs: number };

/** What the end of a call says of its node: it answers, it does not, or nothing. */
export type Verdict = "succeeded" | "failed" | "given-up";

/** What the cluster is told: the two take turns. */
export type CircuitEffect = "opened" | "closed";

/** When it opens, and for how long. */
export interface CircuitLimits {
  readonly threshold: number;
  readonly halfOpen: Backoff;
}

/** The circuit of a node of which nothing bad is known. */
export const CLOSED: Circuit = { kind: "closed", failures: 0 };

/** Whether a call may go there: to a node that may be well again, one. */
export function admits(circuit: Circuit, nowMs: number): boolean {
  if (circuit.kind === "open") return nowMs >= circuit.untilMs;
  return circuit.kind === "closed";
}

type Step = [Circuit, CircuitEffect | undefined];

/** Pure; see the file's header. */
export function stepCircuit(circuit: Circuit, event: CircuitEvent, limits: CircuitLimits): Step {
  const same: Step = [circuit, undefined];
  const { kind, call, nowMs } = event;
  switch (circuit.kind) {
    case "closed": {
      if (kind === "succeeded") return [CLOSED, undefined];
      if (kind !== "failed") return same;
      const failures = circuit.failures + 1;
      if (failures < limits.threshold) return [{ kind: "closed", failures }, undefined];
      return [openAfter(limits.halfOpen.firstMs, nowMs), "opened"];
    }
    case "open": {
      if (kind !== "sent" || !admits(circuit, nowMs)) return same;
      return [{ kind: "half-open", probe: call, waitMs: circuit.waitMs }, undefined];
    }
    case "half-open": {
      if (kind === "sent" || call !== circuit.probe) return same;
      if (kind === "succeeded") return [CLOSED, "closed"];
      const { waitMs } = circuit;
      if (kind === "given-up") return [{ kind: "open", untilMs: nowMs, waitMs }, undefined];
      return [openAfter(Math.min(limits.halfOpen.longestMs, 2 * waitMs), nowMs), undefined];
    }
  }
}

function openAfter(waitMs: number, nowMs: number): Circuit {
  return { kind: "open", untilMs: nowMs + waitMs, waitMs };
}
