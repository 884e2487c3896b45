/** Whether a node should be given work: not whether it lives, but whether it gets on. */
import {
  UNREADY_HANDOFF_MS,
  UNREADY_LAG_MS,
  UNREADY_LEASE_PART,
  UNREADY_MESSAGE_MS,
} from "../base/limits.ts";
import type { ClusterEvents } from "./events.ts";
import type { NodeContext } from "./node-context.ts";

/** What a node says of itself; times in milliseconds. */
export interface Health {
  /** True when there is no reason against it. */
  readonly ready: boolean;
  /** True while its session lasts, it takes calls, and nobody has told it to stop. */
  readonly joined: boolean;
  /** For so long it may act without hearing from its authority; `undefined` with a fixed list. */
  readonly leaseLeftMs: number | undefined;
  /** For how long a message waits for its entity on this node, or to be taken by another node. */
  readonly oldestMessageMs: number;
  /** For how long this node has tried to give a shard away. */
  readonly oldestHandoffMs: number;
  /** How late the event loop was at worst, in the last second or two. */
  readonly eventLoopLagMs: number;
  /** What should have ended long ago, the oldest first, 100 at most. */
  readonly stuck: readonly ClusterEvents["stuck"][];
  /** Why it is not ready: `joined`, `lease`, `messages`, `handoff`, `event-loop`. */
  readonly reasons: readonly string[];
}

/** See the file's header. */
export function healthOf(context: NodeContext): Health {
  const { progress, hasJoined, isStopping, refusal, isFixed, options } = context;
  const joined = hasJoined && !isStopping && refusal === undefined;
  const leaseLeftMs = isFixed ? undefined : Math.round(Math.max(0, context.leaseLeftMs));
  const oldestMessageMs = progress.oldestMs("message");
  const oldestHandoffMs = progress.oldestMs("handoff");
  const eventLoopLagMs = Math.round(progress.lagMs);
  const isBad = {
    joined: !joined,
    lease: leaseLeftMs !== undefined && leaseLeftMs < options.times.timeoutMs * UNREADY_LEASE_PART,
    messages: oldestMessageMs >= UNREADY_MESSAGE_MS,
    handoff: oldestHandoffMs >= UNREADY_HANDOFF_MS,
    "event-loop": eventLoopLagMs >= UNREADY_LAG_MS,
  };
  const reasons = Object.entries(isBad).flatMap(([name, isSo]) => (isSo ? name : []));
  const stuck = progress.overdue.map(({ what, sinceMs }) => ({ what, sinceMs }));
  const oldest = { oldestMessageMs, oldestHandoffMs };
  const ready = reasons.length === 0;
  return { ready, joined, leaseLeftMs, ...oldest, eventLoopLagMs, stuck, reasons };
}
