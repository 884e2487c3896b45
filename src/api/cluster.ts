/** `Cluster`: the composition root. It puts a node together and offers what users write against. */
import { systemClock } from "../base/clock.ts";
import { type Duration, durationMs } from "../base/duration.ts";
import { STOP_DEADLINE_MS } from "../base/limits.ts";
import { systemRandom } from "../base/random.ts";
import { checkRuntime, endOnSignals } from "../base/runtime.ts";
import { Events } from "../runtime/events.ts";
import { figuresOf } from "../runtime/figures.ts";
import { healthOf } from "../runtime/health.ts";
import type { NodeOptions } from "../runtime/node-context.ts";
import { Seat } from "../runtime/seat.ts";
import { Singletons } from "../runtime/singleton.ts";
import { nodesOf, ownerOf } from "../runtime/survey.ts";
import { type Stored, storedAt } from "../runtime/stored.ts";
import { Topics } from "../runtime/topics.ts";
import type { RefRequest } from "../runtime/turn-context.ts";
import { Watches } from "../runtime/watches.ts";
import { Answers } from "../mediator/answers.ts";
import { hosting } from "../mediator/hosting.ts";
import { Mediator } from "../mediator/mediator.ts";
import { Sender } from "./asking.ts";
import { isKeptElsewhere } from "./named.ts";
import type { ClusterOf } from "./cluster-of.ts";
import { type AnyEntity, definitionOf, type Entity } from "./entity.ts";
import { type ClusterOptions, type Given, settingsOf, withEnvironment } from "./options.ts";
import type { TransportUrl } from "./options.ts";
import { listen, readEvent, subscribe } from "./topic.ts";
import { EntityRef, type RefTarget } from "./ref.ts";
import { watch } from "./watch.ts";

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
  /** What listens on this process. */
  readonly topics: Topics;
}

/** Starts a node in a world of its own; the machine's, or one that a test owns. */
export async function startNode(
  options: Given,
  world: Pick<NodeOptions, "clock" | "random" | "sessionsKept">,
): Promise<NodeCluster> {
  const settings = settingsOf(options, world.random);
  const events = new Events({ log: settings.log, clock: world.clock });
  const singletons = new Singletons({ ...world, log: settings.log, events });
  const topics = new Topics(settings.log, readEvent, settings.tracer);
  const answers = new Answers(topics, world.clock);
  const node = hosting(settings, { topics, answers });
  listen(topics, settings.handlings);
  const heard = { events, singletons, topics, watches: new Watches(settings.log) };
  const seat: Seat = new Seat(
    { ...node, ...world, former: new Set(), ...heard },
    {
      refTo: (router, request) => new EntityRef({ router }, request as RefRequest<RefTarget>),
      send: (message, given, bounds) => sender.send(message, given, bounds),
    },
  );
  const { failover, tracer } = settings;
  const mediator = new Mediator(seat, { failover, topics, answers, isKeptElsewhere });
  const sender = new Sender(mediator, tracer);
  await seat.take();
  const boundMs = Number.POSITIVE_INFINITY;
  return {
    nodeId: settings.nodeId,
    entity: (target, id) => new EntityRef(seat, { target, id, boundMs }) as never,
    send: (message, options) => sender.send(message, options) as never,
    tell: (message, options) => sender.tell(message, options) as never,
    broadcast: (message, options) => sender.broadcast(message, options) as never,
    stored: (target, id) => storedOf(seat, target, id),
    get nodes() {
      return nodesOf(seat.node.context);
    },
    ...earsOf(heard),
    ...seen(seat, mediator, answers),
    get leaseLeftMs() {
      return seat.node.context.leaseLeftMs;
    },
    ...endOf(seat),
  };
}

/** How the node of `seat` stops. */
function endOf(
  seat: Seat,
): Pick<NodeCluster, "beforeStop" | "stop" | "stopOnSignals" | typeof Symbol.asyncDispose> {
  const stopping = (deadline: Duration = STOP_DEADLINE_MS): (() => Promise<void>) => {
    const deadlineMs = durationMs(deadline, "deadline");
    return () => seat.stop(deadlineMs);
  };
  return {
    beforeStop: (run) => seat.beforeStop(run),
    stop: (how) => stopping(how?.deadline)(),
    stopOnSignals: (how) => endOnSignals(seat, stopping(how?.deadline)),
    [Symbol.asyncDispose]: stopping(),
  };
}

/** What this process hears, whichever node sits here. */
function earsOf({ events, singletons, topics, watches }: Heard): Pick<NodeCluster, Ears> {
  return {
    publish: (message) => topics.publish(message),
    subscribe: (def, run) => subscribe(topics, def, run),
    watch: (...given) => watch(watches, given),
    on: (type, run) => events.on(type, run),
    singleton: (name, task) => singletons.add(name, task),
    topics,
  };
}

type Heard = Pick<NodeOptions, "events" | "singletons" | "topics" | "watches">;
type Ears = "publish" | "subscribe" | "watch" | "on" | "singleton" | "topics";

/** What a node says of itself and of the cluster. */
function seen(
  seat: Seat,
  { lanes }: Mediator,
  answers: Answers,
): Pick<NodeCluster, "figures" | "health" | "hotKeys" | "owner" | "plan"> {
  return {
    figures() {
      const openCircuits = [...lanes.values()].flatMap(({ outlet }) => outlet.openCircuits);
      return figuresOf(seat.node, { openCircuits, cache: answers.figures });
    },
    health: () => healthOf(seat.node.context),
    hotKeys: () => seat.node.context.hot.all,
    owner: (name, id) => ownerOf(seat.node.context, name, id),
    plan: (change) => seat.node.shards.plan(change),
  };
}

async function storedOf(seat: Seat, target: RefTarget, id: string): Promise<Stored | undefined> {
  const [entity, given] =
    typeof target === "string" ? [target] : [target.name, definitionOf(target)];
  return storedAt(seat.node.context, { entity, id }, given);
}
