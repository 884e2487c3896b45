/**
 * The entity of the fault tests: every turn leaves a line in its node's log, with the times of the
 * machine's monotonic clock, which all processes share.
 */
import { appendFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { command, defineContract, defineEntity } from "../../src/index.ts";
import { monotonicNs } from "./monotonic.ts";

/** A turn, as its node wrote it down; times in nanoseconds. */
export interface Turn {
  readonly id: string;
  readonly node: string;
  readonly fence: string;
  readonly n: number;
  /** How many turns this copy of the entity remembers, this one included. */
  readonly count: number;
  readonly startNs: number;
  readonly endNs: number;
  /** When the node's session lease ends, as it stands at the end of the turn. */
  readonly leaseEndNs: number;
}

const messages = { add: command<{ n: number; ms: number }, number>() };

/** For the one who sends. */
export const ProbeContract = defineContract("probe", messages);

/** For a node, whose turns go to `log`. */
export function createProbe(log: string, leaseLeftMs: () => number) {
  return defineEntity("probe", {
    messages,
    state: () => ({ count: 0 }),
    handlers: {
      async add(ctx, { n, ms }) {
        const startNs = monotonicNs();
        if (ms > 0) await wait(ms);
        const count = ++ctx.state.count;
        const { id, node, fence } = ctx;
        const endNs = monotonicNs();
        // The lease is counted on the clock of the process, turns on one that all of them share.
        const leaseEndNs = endNs + leaseLeftMs() * 1e6;
        const turn: Turn = { id, node, fence, n, count, startNs, endNs, leaseEndNs };
        appendFileSync(log, `${JSON.stringify(turn)}\n`);
        return n;
      },
    },
  });
}
