/** What users write against once a node has started, as types. */
import type { Duration } from "../base/duration.ts";
import type { NodeOutcome } from "../mediator/mediator.ts";
import type { MembershipChange, Plan } from "../ownership/plan.ts";
import type { ClusterEvents } from "../runtime/events.ts";
import type { Figures } from "../runtime/figures.ts";
import type { Health } from "../runtime/health.ts";
import type { HotKey } from "../runtime/hot-keys.ts";
import type { Stored } from "../runtime/stored.ts";
import type { NodeInfo, Ownership } from "../runtime/survey.ts";
import type { CallOptions, Ref } from "./context.ts";
import type { AnyEntity } from "./entity.ts";
import type { MaybePromise, Message, Named } from "./messages.ts";
import type { WatchArgs } from "./watch.ts";

/** This process's place in the cluster. `E` are the entity types it was started with. */
export interface ClusterOf<E extends AnyEntity> extends AsyncDisposable {
  /** This node's id. */
  readonly nodeId: string;
  /**
   * A reference to an entity: by name for the types this node hosts, by definition or contract for
   * any other. Costs nothing and never fails; a wrong id is refused when something is sent.
   */
  entity<T extends E["name"] | AnyEntity>(
    target: T,
    id: string,
  ): Ref<T extends AnyEntity ? T["messages"] : Extract<E, { readonly name: T }>["messages"]>;
  /**
   * What the store of this node has of an entity, or `undefined`; the entity is not woken, and what
   * it has not written yet does not show. A record that cannot be read rejects with STATE_CORRUPT,
   * and NOT_STORED says that there is no store to look into.
   */
  stored(target: E["name"] | AnyEntity, id: string): Promise<Stored | undefined>;
  /**
   * Sends a message with its own name to whoever handles it; resolves with the answer.
   *
   * @throws {CatgaError} NO_HANDLER when no live node has a handler, INVALID_KEY; else what the
   * last try failed with.
   */
  send<P, R>(message: Message<P, R>, options?: CallOptions): Promise<R>;
  /** Resolves once whoever handles it has taken the message. */
  tell<P>(message: Message<P, unknown>, options?: CallOptions): Promise<void>;
  /**
   * Asks every node that handles it, in parallel; resolves with what they have answered when the
   * quorum of its route has answered or cannot any more. Where that is all, the default, with what
   * became of it on each of them, which for one that does not answer is known at the deadline.
   *
   * @throws {CatgaError} NO_HANDLER, or NO_QUORUM when there are too few nodes: nobody was asked.
   */
  broadcast<P, R>(
    message: Message<P, R>,
    options?: CallOptions,
  ): Promise<readonly NodeOutcome<R>[]>;
  /**
   * Tells everybody who has subscribed, on this node too, and the entities that have the event
   * among their messages. At most once, in order per publisher, to the subscribers there are now:
   * one that cannot be reached, or is slow, misses events. Resolves when it was handed to the
   * streams; waits for nobody.
   *
   * @throws {CatgaError} INVALID_PAYLOAD, INVALID_KEY, PAYLOAD_NOT_ENCODABLE, TOO_LARGE
   * @throws {TypeError} when it is no event
   */
  publish<P>(message: Message<P, void>): Promise<void>;
  /**
   * Calls `run` for each event of `def`, one after the other: with the next one when a promise that
   * it returned has settled. 1,024 wait behind it, then the oldest are dropped. One that throws is
   * logged. The result ends that.
   *
   * @throws {TypeError} for anything but an event
   */
  subscribe<P>(def: Named<"event", P, void>, run: (message: P) => MaybePromise<void>): () => void;
  /**
   * Calls `run` with what an entity pushes to its watchers, wherever it lives and whether or not it
   * is in memory, one after the other: with the next one when a promise that it returned has
   * settled. The first that it is given is a mark, which says that the watch has begun. What is
   * pushed from then on comes in order, and at most once; moves of the entity lose nothing.
   *
   * Where something may have been missed, a mark says so (`missed`): its node has died, or more
   * than 1,024 were waiting for `run`, of which the oldest were dropped. With `after`, the id of
   * what another watch was given, on any node, that comes first what was pushed since, as far as
   * it is known: the last 256 pushes of an entity that is watched, or was within 20 seconds.
   *
   * What fails is logged. The result ends the watch.
   *
   * @throws {CatgaError} INVALID_ID; OVERLOADED when this node has 16,384 watches
   * @throws {TypeError} for no function
   */
  watch(...given: WatchArgs<E["name"] | AnyEntity>): () => void;
  /** The nodes that live, sorted by id. */
  readonly nodes: readonly NodeInfo[];
  /**
   * Entities, and keys of messages, that get far more messages than others of their node, the most
   * frequent first: as the nodes told with their last heartbeats.
   */
  hotKeys(): readonly HotKey[];
  /** What this node has counted since it started; costs one step per type of message. */
  figures(): Figures;
  /** Whether this node gets on with its work, for whoever decides to send it more. */
  health(): Health;
  /** Who owns an entity as far as this node knows; `undefined` while nobody does. */
  owner(name: string, id: string): Ownership | undefined;
  /**
   * Calls `run` with every event of `type`, as this node learns of it; the result ends that. All
   * events come in order. When `run` returns a promise, its next event comes after that has
   * settled; behind it wait 1,024 events at most, then the oldest are dropped, which is logged.
   * One that fails is logged, and hurts nobody.
   *
   * @throws {TypeError} when there is no such event, or `run` is no function.
   */
  on<T extends keyof ClusterEvents>(type: T, run: (event: ClusterEvents[T]) => unknown): () => void;
  /**
   * Runs `task` on the leader, one node of the whole cluster; the result ends that. Register it on
   * every node, under one name: where the leader has none of that name, it runs nowhere. A task
   * that returns has ended until another node leads, or this one again; one that throws is logged
   * and begins again, after 50 ms at first and 2 s at most.
   *
   * The signal aborts when leadership is lost, when this node's lease ends by its own clock, and
   * when the node leaves, which waits for the task within its deadline. The next leader begins
   * after that, and no sooner than the former one's lease is over. So no two tasks run whose nodes
   * hold a lease; but what runs on after its signal has aborted, and what a process does that was
   * stopped in the middle of a task before it learns of that, runs beside the next one. Keep what
   * must never happen twice in an entity.
   *
   * @throws {TypeError} for a name that this process has registered already, or no function.
   */
  singleton(name: string, task: (signal: AbortSignal) => MaybePromise<void>): () => void;
  /**
   * What a change of membership would move; moves nothing. Of the shards of this node's entities.
   *
   * @throws {RangeError} when a node joins that is there, or one leaves that is not.
   */
  plan(change: MembershipChange): Plan;
  /**
   * Calls `run` when the node is told to stop, while it still is a member like any other, and waits
   * for what it returns; for all of these at once, and for half of the deadline at most. One that
   * fails is logged. The result ends that.
   *
   * @throws {TypeError} when `run` is no function
   */
  beforeStop(run: () => MaybePromise<void>): () => void;
  /** Leaves: hands everything over, then closes. Always ends within the deadline. @default "10s" */
  stop(options?: { readonly deadline?: Duration }): Promise<void>;
  /**
   * Stops when the process is told to end (SIGTERM, SIGINT). When all nodes of the process that ask
   * for it have stopped, it ends: with 0, whatever else would keep it alive. A second signal ends
   * it at once, with 128 and its number. Calling it twice is once. Where there are no such signals
   * (SIGTERM on Windows), it does nothing.
   */
  stopOnSignals(options?: { readonly deadline?: Duration }): void;
}
