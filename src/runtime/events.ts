/** What happens in the cluster, told on every node as that node learns of it. */
import type { Logger } from "../base/logger.ts";
import type { View, ViewChange } from "../ownership/view.ts";
import type { PassivationReason } from "./definition.ts";

/** The events, by their names. */
export interface ClusterEvents {
  "node-joined": { readonly node: string; readonly endpoint: string | undefined };
  "node-left": { readonly node: string; readonly reason: "left" | "failed" };
  "leader-elected": { readonly node: string };
  /** A shard has another owner; a lower epoch than the last one is never told. */
  "shard-rebalanced": {
    readonly shard: number;
    readonly from: string | undefined;
    readonly to: string;
    readonly epoch: number;
  };
  /** Of entities on this node. */
  "entity-activated": { readonly name: string; readonly id: string };
  /** Of entities on this node. */
  "entity-passivated": {
    readonly name: string;
    readonly id: string;
    readonly reason: PassivationReason;
  };
  /** Something that should have ended has not. */
  stuck: { readonly what: string; readonly sinceMs: number };
}

type Listener<T extends keyof ClusterEvents> = (event: ClusterEvents[T]) => void;

const NAMES =
  "node-joined node-left leader-elected shard-rebalanced entity-activated entity-passivated stuck";

/** Listeners by event. One that throws is logged, and hurts nobody else. */
export class Events {
  readonly #log: Logger;
  readonly #listeners = new Map<string, Set<Listener<never>>>(
    NAMES.split(" ").map((name) => [name, new Set()]),
  );

  constructor(log: Logger) {
    this.#log = log;
  }

  /**
   * Calls `run` with every event of `type`; the result ends that. @throws {TypeError} unknown type
   */
  on<T extends keyof ClusterEvents>(type: T, run: Listener<T>): () => void {
    const listeners = this.#listeners.get(type);
    if (listeners === undefined) {
      throw new TypeError(`Cannot listen to "${type}": the events are ${NAMES}`);
    }
    listeners.add(run);
    return () => listeners.delete(run);
  }

  /** Tells all who listen now. */
  emit<T extends keyof ClusterEvents>(type: T, event: ClusterEvents[T]): void {
    for (const run of this.#listeners.get(type)!) {
      try {
        run(event as never);
      } catch (error) {
        this.#log.error({ error, type }, "a listener to cluster events failed");
      }
    }
  }
}

/** Tells of a change in what a node knows, if others would call it news. */
export function tell(events: Events, view: View, change: ViewChange): void {
  const nodeOf = (incarnation: string | null | undefined): string | undefined =>
    view.sessions.get(incarnation ?? "")?.record.node;
  if (change.kind === "leader") {
    const { incarnation } = change;
    events.emit("leader-elected", { node: nodeOf(incarnation) ?? incarnation });
  } else if (change.kind === "shard") {
    const { shard, before } = change;
    const { owner, epoch } = view.shard(change.group, shard)!.record;
    const [from, to] = [nodeOf(before), nodeOf(owner)];
    if (owner !== before && to !== undefined) {
      events.emit("shard-rebalanced", { shard, from, to, epoch });
    }
  } else if (change.kind === "session") {
    const { incarnation, before } = change;
    const { node, endpoint, state } = view.sessions.get(incarnation)!.record;
    if (!view.isGone(incarnation)) {
      if (before !== undefined) return; // A heartbeat.
      events.emit("node-joined", { node, endpoint: endpoint ?? undefined });
    } else if (before !== undefined && before !== state) {
      events.emit("node-left", { node, reason: state === "dead" ? "failed" : "left" });
    }
  }
}
