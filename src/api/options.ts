/**
 * The options of `Cluster.start`, and what becomes of them: everything checked, every default set.
 */
import { type Duration, durationMs } from "../base/duration.ts";
import {
  HEARTBEATS,
  type HeartbeatTimes,
  SHARD_COUNT,
  SHARD_COUNT_MAX,
  WEIGHT_MAX,
  WEIGHT_MIN,
} from "../base/limits.ts";
import { type Logger, silentLogger } from "../base/logger.ts";
import { loadOptional } from "../base/optional.ts";
import { environmentVariable, hostName } from "../base/runtime.ts";
import type { Random } from "../base/random.ts";
import { embedded } from "../drivers/embedded/index.ts";
import { listOf, type Member, nodeOfList } from "../drivers/fixed/list.ts";
import { memory } from "../drivers/memory/index.ts";
import type { Certificates } from "../ports/certificates.ts";
import type { Driver } from "../ports/driver.ts";
import type { StoreDriver } from "../ports/store.ts";
import { checkName } from "../protocol/ids.ts";
import type { EntityDefinition } from "../runtime/definition.ts";
import { checkMiddleware, type Middleware, within } from "../runtime/middleware.ts";
import type { NodeSettings } from "../runtime/node-context.ts";
import { Tracer, type Tracing } from "../runtime/tracing.ts";
import { type AnyEntity, definitionOf } from "./entity.ts";
import { type FailoverOptions, failoverOf, handlingsOf } from "./mediator-options.ts";
import type { MediatorSettings } from "./mediator-options.ts";
import type { Handler } from "./named.ts";
import { routedTopics } from "./topic.ts";

/** A driver as a value; what it does is the house's own business. */
export interface Transport {
  readonly name: string;
}

/** A store as a value; what it does is the house's own business. */
export interface StateStore {
  readonly name: string;
}

/**
 * Where the nodes meet: a NATS server with JetStream (`tls://` for one with TLS), a Redis server
 * (`rediss://` with TLS), `tcp://127.0.0.1:<port>` for another port of this machine, or memory.
 */
export type TransportUrl = `${"nats" | "tls" | "redis" | "rediss" | "tcp"}://${string}` | "memory";

/** See each option; all have defaults. */
export interface ClusterOptions<E extends readonly AnyEntity[]> {
  /** @default several processes on this machine, no broker */
  readonly transport?: TransportUrl | Transport;
  /**
   * Where entities with `persistence` are kept: `sqlite({ file })`, `nats({ … })`, `redis({ … })`.
   *
   * @default the broker of the transport; without one `catga/<cluster>.db` in `$XDG_STATE_HOME` or
   * `~/.local/state`
   */
  readonly store?: StateStore;
  /** Clusters of different names never meet. @default "catga" */
  readonly name?: string;
  /** @default host name and a random suffix */
  readonly nodeId?: string;
  /** Where others may reach this node's application, for example its HTTP edge. */
  readonly endpoint?: string;
  /** Share of the entities relative to other nodes, from 0.1 to 100. @default 1 */
  readonly weight?: number;
  /** @default 1024; the same on every node, checked at join */
  readonly shardCount?: number;
  /**
   * A fixed list instead of a transport, the same on every node: `http://<host>:<port>` each, where
   * it listens for the others. An entity lives on its node for good; while that is away, calls to
   * it fail with NODE_AWAY and nobody takes over. Needs `secret`. Which entry a process is says
   * `nodeId`, unless it is the only one on its machine; a process without entities need not be one.
   */
  readonly nodes?: readonly string[];
  /** What nodes prove to each other that they know. @default a file that only this user can read */
  readonly secret?: string;
  /**
   * Certificates for `nodes`: each shows its own, for its host in the list, and believes who has
   * one of the authority `ca`. @default frames are sealed by the secret, and anybody may read them
   */
  readonly tls?: Certificates;
  /**
   * How often a node says that it lives, and after which silence it may be taken for dead. fast:
   * 200 ms and 800 ms; normal: 750 ms and 3 s; relaxed: 2.5 s and 10 s. A timeout below 4 × every
   * is refused. @default "fast"
   */
  readonly heartbeat?:
    | "fast"
    | "normal"
    | "relaxed"
    | { readonly every: Duration; readonly timeout: Duration };
  /** Around every handler of this node, outside that of an entity: the first is outermost. */
  readonly middleware?: readonly Middleware[];
  /** Shaped like pino: what was thrown is in the field `err`. @default silence */
  readonly log?: Logger;
  /** Hears of spans, as `openTelemetry()` of `catga/otel` does. @default nobody does */
  readonly tracing?: Tracing;
  /** How calls of messages with a name of their own are tried again elsewhere. */
  readonly failover?: FailoverOptions;
  /** Entity types this node hosts; without any it only calls. */
  readonly entities?: E;
  /** Messages with a name of their own that this node handles. */
  readonly handlers?: readonly Handler[];
}

/** The options of any node. */
export type Given = ClusterOptions<readonly AnyEntity[]>;

const OPTIONS = [
  ..."transport nodes store name nodeId endpoint weight shardCount".split(" "),
  ..."secret tls heartbeat middleware log tracing failover entities handlers".split(" "),
];

/** The options, checked; handlers are not in their place yet. */
type Settings = Omit<NodeSettings, "handlers" | "handled"> & MediatorSettings;

/** What the environment may say, so that one program runs on a laptop and in a cluster. */
const VARIABLES = {
  transport: "CLUSTER_TRANSPORT",
  nodes: "CLUSTER_NODES",
  name: "CLUSTER_NAME",
  secret: "CLUSTER_SECRET",
  nodeId: "NODE_ID",
  endpoint: "NODE_ENDPOINT",
};

/**
 * The options as `given`, and what the environment says of those that are left out.
 *
 * @throws {TypeError} that names the variable, when its value is not legal.
 */
export function withEnvironment(given: Given | TransportUrl | undefined, random: Random): Given {
  const options: Given = typeof given === "string" ? { transport: given } : { ...given };
  const isPlaced = options.transport !== undefined || options.nodes !== undefined;
  for (const [option, variable] of Object.entries(VARIABLES)) {
    const text = environmentVariable(variable);
    if (text === undefined || options[option as keyof Given] !== undefined) continue;
    if (isPlaced && (option === "transport" || option === "nodes")) continue;
    const value = option === "nodes" ? text.split(/[\s,]+/) : text;
    try {
      // A list goes with a secret, which may come from elsewhere.
      settingsOf({ secret: variable, [option]: value }, random);
    } catch (error) {
      (error as Error).message += ` (${variable} of the environment)`;
      throw error;
    }
    Object.assign(options, { [option]: value });
  }
  return options;
}

/**
 * Checks the options.
 *
 * @throws {TypeError} for an unknown option, an entity without code, a name that is not legal.
 * @throws {RangeError} for a figure out of its range.
 */
export function settingsOf(options: Given, random: Random): Settings {
  const extra = Object.keys(options).find((option) => !OPTIONS.includes(option));
  if (extra !== undefined) throw new TypeError(`Cannot start a node: no option "${extra}"`);
  checkMiddleware(options.middleware, "start a node");
  const list = listOf(options);
  const { name: cluster = "catga", entities = [] } = options;
  const named = list === undefined ? options.nodeId : nodeOfList(list, options);
  const nodeId = named ?? `${hostName()}-${random.text(6)}`;
  checkName(cluster, "cluster name");
  checkName(nodeId, "node id");
  const driver = list === undefined ? driverOf(options.transport) : fixedBy(list, options.tls);
  return {
    driver,
    store: storeOf(options.store, driver),
    cluster,
    nodeId,
    endpoint: options.endpoint,
    weight: weightOf(options.weight ?? 1),
    shardCount: shardCountOf(options.shardCount ?? SHARD_COUNT),
    secret: secretOf(options.secret),
    times: timesOf(options.heartbeat ?? "fast"),
    log: options.log ?? silentLogger,
    tracer: options.tracing && new Tracer(options.tracing, nodeId),
    entities: definitionsOf(entities).map((each) => within(each, options.middleware)),
    handlings: handlingsOf(options),
    routed: routedTopics(entities),
    failover: failoverOf(options.failover ?? {}),
  };
}

function secretOf(secret: string | undefined): string | undefined {
  if (secret === undefined || (typeof secret === "string" && secret !== "")) return secret;
  throw new TypeError("Cannot use an empty secret: write a text that nobody guesses, or none");
}

/** Keeps entities in a file of this machine, for transports that have no store of their own. */
const IN_A_FILE: StoreDriver = {
  name: "sqlite",
  open: async (context) => (await import("../drivers/sqlite/index.ts")).sqlite().open(context),
};

/** The driver of a store as a value. @throws {TypeError} for anything else */
export function storeDriverOf(store: StateStore): StoreDriver {
  if (typeof (store as Partial<StoreDriver>).open === "function") return store as StoreDriver;
  const written = typeof store === "string" ? store : store.name;
  throw new TypeError(`Cannot use store "${written}": write sqlite(…), nats(…) or redis(…)`);
}

/** A transport may be a store, too; what was named as one has to be. */
function storeOf(named: StateStore | undefined, driver: Driver): StoreDriver | undefined {
  if (named !== undefined) return storeDriverOf(named);
  if (typeof (driver as Partial<StoreDriver>).open === "function")
    return driver as Driver & StoreDriver;
  return driver.name === "embedded" || driver.name === "fixed" ? IN_A_FILE : undefined;
}

function driverOf(transport: TransportUrl | Transport | undefined): Driver {
  if (transport === undefined) return embedded();
  if (typeof transport !== "string") {
    if (typeof (transport as Partial<Driver>).connect === "function") return transport as Driver;
    throw new TypeError(`Cannot use transport "${transport.name}": it is no driver of catga`);
  }
  if (transport === "memory") return memory();
  if (/^(?:nats|tls|rediss?):..[^/]/.test(transport) && URL.canParse(transport)) {
    return brokerAt(transport);
  }
  const match = /^tcp:\/\/(?:127\.0\.0\.1|localhost):(\d{1,5})$/.exec(transport);
  const port = Number(match?.[1]);
  if (match !== null && port > 0 && port < 65_536) return embedded({ port });
  // The text may hold a password, so it is not repeated.
  throw new TypeError(
    'Cannot use the transport: write "nats://<host>:<port>", "redis://<host>:<port>", ' +
      '"tcp://127.0.0.1:<port>" or "memory"',
  );
}

/** The driver is loaded when it is needed: the client of its broker need not be installed. */
function brokerAt(url: string): Driver & StoreDriver {
  const isRedis = /^rediss?:/.test(url);
  const packages = isRedis ? "ioredis" : "@nats-io/transport-node @nats-io/jetstream";
  const make = async (): Promise<Driver & StoreDriver> =>
    isRedis
      ? (await import("../drivers/redis/index.ts")).redis(url)
      : (await import("../drivers/nats/index.ts")).nats(url);
  let made: Promise<Driver & StoreDriver> | undefined;
  const load = (): Promise<Driver & StoreDriver> => (made ??= loadOptional(packages, make));
  return {
    name: isRedis ? "redis" : "nats",
    connect: async (context) => (await load()).connect(context),
    open: async (context) => (await load()).open(context),
  };
}

function fixedBy(list: readonly Member[], tls: Certificates | undefined): Driver {
  return {
    name: "fixed",
    connect: async (context) =>
      (await import("../drivers/fixed/index.ts")).fixed(list, tls).connect(context),
  };
}

function timesOf(heartbeat: NonNullable<ClusterOptions<[]>["heartbeat"]>): HeartbeatTimes {
  if (typeof heartbeat === "string") {
    if (Object.hasOwn(HEARTBEATS, heartbeat)) return HEARTBEATS[heartbeat];
    throw new TypeError(`Cannot use heartbeat "${heartbeat}": write fast, normal or relaxed`);
  }
  const everyMs = durationMs(heartbeat.every, "heartbeat.every");
  const timeoutMs = durationMs(heartbeat.timeout, "heartbeat.timeout");
  if (everyMs >= 10 && timeoutMs >= 4 * everyMs) return { everyMs, timeoutMs };
  throw new RangeError(
    `Cannot use heartbeat every ${everyMs} ms with timeout ${timeoutMs} ms: ` +
      `every must be 10 ms at least, timeout 4 × every`,
  );
}

function definitionsOf(entities: readonly AnyEntity[]): EntityDefinition[] {
  if (!Array.isArray(entities)) throw new TypeError("Cannot start a node: entities must be a list");
  const names = new Set<string>();
  return entities.map((entity) => {
    const definition = definitionOf(entity);
    if (definition === undefined) {
      throw new TypeError(`Cannot host "${entity.name}": a contract has no code, implement it`);
    }
    if (names.has(entity.name)) throw new TypeError(`Cannot host "${entity.name}" twice`);
    names.add(entity.name);
    return definition;
  });
}

/** @throws {RangeError} for a number of shards that makes no sense */
export function shardCountOf(count: number): number {
  if (Number.isSafeInteger(count) && count >= 1 && count <= SHARD_COUNT_MAX) return count;
  throw new RangeError(`Cannot use shardCount ${count}: write 1 to ${SHARD_COUNT_MAX}, whole`);
}

function weightOf(weight: number): number {
  if (weight >= WEIGHT_MIN && weight <= WEIGHT_MAX) return weight;
  throw new RangeError(`Cannot use weight ${weight}: write ${WEIGHT_MIN} to ${WEIGHT_MAX}`);
}
