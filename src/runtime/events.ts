/** What happens in the cluster, told on every node as that node learns of it. */
import Denque from "denque";
import type { Clock } from "../base/clock.ts";
import { SLICE_MS } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { View, ViewChange } from "../ownership/view.ts";
import type { PassivationReason } from "./definition.ts";
import { Listener, type Listening } from "./listener.ts";

/** Of a circuit to `node`: for one type of messages, or for all. */
export interface CircuitChange {
  readonly node: string;
  readonly message?: string;
}

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
  /** Too many failures in a row: nothing is sent there for a while. */
  "circuit-opened": CircuitChange;
  "circuit-closed": CircuitChange;
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

type Run<T extends keyof ClusterEvents> = (event: ClusterEvents[T]) => unknown;

const NAMES =
  "node-joined node-left leader-elected shard-rebalanced entity-activated entity-passivated " +
  "circuit-opened circuit-closed hot-key stuck unsafe";

/** One who listens. */
interface Queued {
  readonly listener: Listener;
  /** How often it stands in the queue; once for each event, unless it was busy. */
  count: number;
}

/**
 * Listeners by event. They are called one after the other in the order of the events, when whoever
 * emitted has given the stack back: never in the middle of what tells. One that returns a promise
 * is given its next event when that has settled, and others do not wait for it.
 */
export class Events {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #listeners = new Map<string, Set<Listener>>(
    NAMES.split(" ").map((name) => [name, new Set()]),
  );
  readonly #queue = new Denque<Queued>();
  #isDelivering = false;
  readonly #unsafe = new Set<string>();

  constructor({ log, clock }: { readonly log: Logger; readonly clock: Clock }) {
    this.#log = log;
    this.#clock = clock;
  }

  /**
   * Calls `run` with every event of `type`; the result ends that.
   *
   * @throws {TypeError} unknown type, or no function
   */
  on<T extends keyof ClusterEvents>(type: T, run: Run<T>): () => void {
    const listeners = this.#listeners.get(type);
    if (listeners === undefined) {
      throw new TypeError(`Cannot listen to "${type}": the events are ${NAMES}`);
    }
    if (typeof run !== "function") {
      throw new TypeError(`Cannot listen to "${type}": the listener must be a function`);
    }
    const around = { what: "cluster events", type, log: this.#log };
    const ready = (): void => this.#enqueue(queued);
    const listener = new Listener(run as Listening, { ...around, ready });
    const queued = { listener, count: 0 };
    listeners.add(listener);
    for (const what of type === "unsafe" ? this.#unsafe : []) listener.post({ what });
    return () => {
      listeners.delete(listener);
      listener.clear();
    };
  }

  /** Tells all who listen now; they hear of it when the stack is free. */
  emit<T extends keyof ClusterEvents>(type: T, event: ClusterEvents[T]): void {
    for (const listener of this.#listeners.get(type)!) listener.post(event);
  }

  /** Logs `what`, and tells all who listen now or will; once, however often it is found. */
  unsafe(what: string): void {
    if (this.#unsafe.has(what)) return;
    this.#unsafe.add(what);
    this.#log.warn({}, what);
    this.emit("unsafe", { what });
  }

  #enqueue(queued: Queued): void {
    const { isBusy, waitingCount } = queued.listener;
    if (isBusy || queued.count >= waitingCount) return;
    queued.count++;
    this.#queue.push(queued);
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    queueMicrotask(() => this.#deliver());
  }

  #deliver(): void {
    const endMs = this.#clock.nowMs() + SLICE_MS;
    for (let next; (next = this.#queue.shift()) !== undefined;) {
      next.count--;
      if (next.listener.isReady) next.listener.next();
      this.#enqueue(next);
      // Slow listeners must not keep the heartbeat from its time.
      if (this.#clock.nowMs() >= endMs) return this.#clock.yield(() => this.#deliver());
    }
    this.#isDelivering = false;
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
