/** What happens in the cluster, told on every node as that node learns of it. */
import Denque from "denque";
import type { Clock } from "../base/clock.ts";
import { EVENTS_WAITING_MAX, SLICE_MS } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import { isThenable } from "../base/thenable.ts";
import type { View, ViewChange } from "../ownership/view.ts";
import type { PassivationReason } from "./definition.ts";

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

/** One who listens, and what is on its way there. */
interface Listener {
  readonly type: string;
  readonly run: Run<never>;
  readonly waiting: Denque<object>;
  /** How often it stands in the queue; once for each event, unless it was busy. */
  queued: number;
  /** It returned a promise that has not settled. */
  isBusy: boolean;
  dropped: number;
}

/**
 * Listeners by event. They are called one after the other in the order of the events, when whoever
 * emitted has given the stack back: never in the middle of what tells. One that returns a promise
 * is given its next event when that has settled, and others do not wait for it. Behind each wait
 * `EVENTS_WAITING_MAX` events at most, then the oldest are dropped. One that fails is logged.
 */
export class Events {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #listeners = new Map<string, Set<Listener>>(
    NAMES.split(" ").map((name) => [name, new Set()]),
  );
  readonly #queue = new Denque<Listener>();
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
    const state = { waiting: new Denque<object>(), queued: 0, isBusy: false, dropped: 0 };
    const listener: Listener = { type, run, ...state };
    listeners.add(listener);
    for (const what of type === "unsafe" ? this.#unsafe : []) this.#post(listener, { what });
    return () => {
      listeners.delete(listener);
      listener.waiting.clear();
    };
  }

  /** Tells all who listen now; they hear of it when the stack is free. */
  emit<T extends keyof ClusterEvents>(type: T, event: ClusterEvents[T]): void {
    for (const listener of this.#listeners.get(type)!) this.#post(listener, event);
  }

  /** Logs `what`, and tells all who listen now or will; once, however often it is found. */
  unsafe(what: string): void {
    if (this.#unsafe.has(what)) return;
    this.#unsafe.add(what);
    this.#log.warn({}, what);
    this.emit("unsafe", { what });
  }

  #post(listener: Listener, event: object): void {
    const { waiting, type } = listener;
    waiting.push(event);
    if (waiting.length > EVENTS_WAITING_MAX) {
      waiting.shift();
      if (listener.dropped++ === 0) {
        this.#log.warn({ type }, "a listener to cluster events is slow, it misses the oldest");
      }
    }
    this.#enqueue(listener);
  }

  #enqueue(listener: Listener): void {
    if (listener.isBusy || listener.queued >= listener.waiting.length) return;
    listener.queued++;
    this.#queue.push(listener);
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    queueMicrotask(() => this.#deliver());
  }

  #deliver(): void {
    const endMs = this.#clock.nowMs() + SLICE_MS;
    for (let next; (next = this.#queue.shift()) !== undefined;) {
      next.queued--;
      this.#tell(next);
      this.#enqueue(next);
      // Slow listeners must not keep the heartbeat from its time.
      if (this.#clock.nowMs() >= endMs) return this.#clock.yield(() => this.#deliver());
    }
    this.#isDelivering = false;
  }

  #tell(listener: Listener): void {
    const { waiting, type } = listener;
    const event = listener.isBusy ? undefined : waiting.shift();
    if (event === undefined) return;
    if (listener.dropped > 0 && waiting.length === 0) {
      this.#log.warn({ type, dropped: listener.dropped }, "a listener has missed cluster events");
      listener.dropped = 0;
    }
    const failed = (error: unknown): void =>
      this.#log.error({ err: error, type }, "a listener to cluster events failed");
    try {
      const result: unknown = listener.run(event as never);
      if (!isThenable(result)) return;
      listener.isBusy = true;
      Promise.resolve(result)
        .catch(failed)
        .then(() => {
          listener.isBusy = false;
          this.#enqueue(listener);
        }, failed);
    } catch (error) {
      failed(error);
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
