/** `Cluster`: the composition root. It puts a node together and offers what users write against. */
import { systemClock } from "../base/clock.ts";
import { type Duration, durationMs } from "../base/duration.ts";
import { STOP_DEADLINE_MS } from "../base/limits.ts";
import { systemRandom } from "../base/random.ts";
import { checkRuntime } from "../base/runtime.ts";
import type { MembershipChange, Plan } from "../ownership/plan.ts";
import { type ClusterEvents, Events } from "../runtime/events.ts";
import type { HotKey } from "../runtime/hot-keys.ts";
import type { NodeOptions } from "../runtime/node-context.ts";
import { Seat } from "../runtime/seat.ts";
import { type NodeInfo, nodesOf, type Ownership, ownerOf } from "../runtime/survey.ts";
import { type Stored, storedAt } from "../runtime/stored.ts";
import type { RefRequest } from "../runtime/turn-context.ts";
import type { Ref } from "./context.ts";
import { type AnyEntity, definitionOf, type Entity } from "./entity.ts";
import { type ClusterOptions, type Given, settingsOf, withEnvironment } from "./options.ts";
import type { TransportUrl } from "./options.ts";
import { EntityRef, type RefTarget } from "./ref.ts";

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
  /** The nodes that live, sorted by id. */
  readonly nodes: readonly NodeInfo[];
  /**
   * Entities, and keys of messages, that get far more messages than others of their node, the most
   * frequent first: as the nodes told with their last heartbeats.
   */
  hotKeys(): readonly HotKey[];
  /** Who owns an entity as far as this node knows; `undefined` while nobody does. */
  owner(name: string, id: string): Ownership | undefined;
  /**
   * Calls `run` with every event of `type`, as this node learns of it; the result ends that.
   *
   * @throws {TypeError} when there is no such event.
   */
  on<T extends keyof ClusterEvents>(type: T, run: (event: ClusterEvents[T]) => void): () => void;
  /**
   * What a change of membership would move; moves nothing. Of the shards of this node's entities.
   *
   * @throws {RangeError} when a node joins that is there, or one leaves that is not.
   */
  plan(change: MembershipChange): Plan;
  /** Leaves: hands everything over, then closes. Always ends within the deadline. @default "10s" */
  stop(options?: { readonly deadline?: Duration }): Promise<void>;
}

/** Starts nodes. */
export const Cluster: {
  /**
   * Starts this process's node and joins the cluster, which is a new one if there is none.
   *
   * @example
   * await using cluster = await Cluster.start({ entities: [Account] });
   * @throws {CatgaError} PORT_TAKEN, WRONG_SECRET, UNSAFE_SECRET, CLUSTER_MISMATCH,
   * PROTOCOL_MISMATCH, SETTINGS_DIFFER, NODE_ID_TAKEN, ENTITY_SETS_DIFFER, RUNTIME_TOO_OLD,
   * UNAVAILABLE when no node of a list answers; of a broker or a store BROKER_…, STORE_UNAVAILABLE
   * @throws {TypeError | RangeError} for options that make no sense.
   */
  start<const E extends readonly AnyEntity[] = readonly []>(
    options?: TransportUrl | ClusterOptions<E>,
  ): Promise<ClusterOf<E[number]>>;
} = {
  async start(options) {
    checkRuntime();
    const given = withEnvironment(options, systemRandom);
    return startNode(given, { clock: systemClock, random: systemRandom });
  },
};

/** What `Cluster.start` resolves to; the entity types are computed from the options. */
export interface NodeCluster extends ClusterOf<Entity<never, never>> {
  /** How long the node may still act for what it owns, if it does not renew; for tests. */
  readonly leaseLeftMs: number;
}

/** Starts a node in a world of its own; the machine's, or one that a test owns. */
export async function startNode(
  options: Given,
  world: Pick<NodeOptions, "clock" | "random" | "sessionsKept">,
): Promise<NodeCluster> {
  const settings = settingsOf(options, world.random);
  const events = new Events(settings.log);
  const seat = new Seat(
    { ...settings, ...world, former: new Set(), events },
    (router, request) => new EntityRef({ router }, request as RefRequest<RefTarget>),
  );
  await seat.take();
  const boundMs = Number.POSITIVE_INFINITY;
  const stop: NodeCluster["stop"] = (how) =>
    seat.stop(durationMs(how?.deadline ?? STOP_DEADLINE_MS, "deadline"));
  return {
    nodeId: settings.nodeId,
    entity: (target, id) => new EntityRef(seat, { target, id, boundMs }) as never,
    stored: async (target, id) => {
      const [entity, given] =
        typeof target === "string" ? [target] : [target.name, definitionOf(target)];
      return storedAt(seat.node.context, { entity, id }, given);
    },
    get nodes() {
      return nodesOf(seat.node.context);
    },
    hotKeys: () => seat.node.context.hot.all,
    owner: (name, id) => ownerOf(seat.node.context, name, id),
    on: (type, run) => events.on(type, run),
    plan: (change) => seat.node.shards.plan(change),
    get leaseLeftMs() {
      return seat.node.context.leaseLeftMs;
    },
    stop,
    [Symbol.asyncDispose]: () => stop(),
  };
}
