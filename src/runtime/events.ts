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
  /** An entity, or the key of a message, gets far more messages than others of its node. */
  "hot-key": { readonly name: string; readonly id: string; readonly share: number };
  /** Something that should have ended has not. */
  stuck: { readonly what: string; readonly sinceMs: number };
  /**
   * Others may read or forge what nodes say, or a broker may forget what it has acknowledged, and
   * what to do about it. That shows while a node joins, so each text is told once to every
   * listener, whenever it comes.
   */
  unsafe: { readonly what: string };
}

type Listener<T extends keyof ClusterEvents> = (event: ClusterEvents[T]) => void;

const NAMES =
  "node-joined node-left leader-elected shard-rebalanced entity-activated entity-passivated " +
  "hot-key stuck unsafe";

/** Listeners by event. One that throws is logged, and hurts nobody else. */
export class Events {
  readonly #log: Logger;
  readonly #listeners = new Map<string, Set<Listener<never>>>(
    NAMES.split(" ").map((name) => [name, new Set()]),
  );
  readonly #unsafe = new Set<string>();

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
    for (const what of type === "unsafe" ? this.#unsafe : []) {
      queueMicrotask(() => {
        if (listeners.has(run)) this.#tell(run, type, { what });
      });
    }
    return () => listeners.delete(run);
  }

  /** Tells all who listen now. */
  emit<T extends keyof ClusterEvents>(type: T, event: ClusterEvents[T]): void {
    for (const run of this.#listeners.get(type)!) this.#tell(run, type, event);
  }

  /** Logs `what`, and tells all who listen now or will; once, however often it is found. */
  unsafe(what: string): void {
    if (this.#unsafe.has(what)) return;
    this.#unsafe.add(what);
    this.#log.warn({}, what);
    this.emit("unsafe", { what });
  }

  #tell(run: Listener<never>, type: string, event: object): void {
    try {
      run(event as never);
    } catch (error) {
      this.#log.error({ err: error, type }, "a listener to cluster events failed");
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
    const wasUp = before === "up" || before === "leaving";
    const isUp = view.isAlive(incarnation);
    if (isUp && !wasUp) events.emit("node-joined", { node, endpoint: endpoint ?? undefined });
    if (!isUp && wasUp) {
      events.emit("node-left", { node, reason: state === "left" ? "left" : "failed" });
    }
  }
}
