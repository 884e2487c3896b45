/** What the parts of one node share: who it is, its clock, what it knows, what waits. */
import type { Clock } from "../base/clock.ts";
import { CatgaError } from "../base/errors.ts";
import { hash } from "../base/hash.ts";
import { InFlight } from "../base/in-flight.ts";
import { type HeartbeatTimes, KNOWN_IDS_MAX } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import { TimerWheel, type WheelEntry } from "../base/timer-wheel.ts";
import type { Waits } from "../base/waits.ts";
import { View } from "../ownership/view.ts";
import type { Driver } from "../ports/driver.ts";
import type { Store, StoreDriver } from "../ports/store.ts";
import { checkEntityId } from "../protocol/ids.ts";
import type { Entry } from "../protocol/ledger.ts";
import type { LeaderRecord, ShardRecord } from "../protocol/records.ts";
import type { EntityDefinition, MessageSpec } from "./definition.ts";
import type { Events } from "./events.ts";
import { type LinkCounts, MoveCounts } from "./counts.ts";
import { HotKeys } from "./hot-keys.ts";
import { Progress } from "./progress.ts";
import { Calls } from "./remote-call.ts";
import type { Singletons } from "./singleton.ts";
import { Slices } from "./slices.ts";
import { StoreWriter } from "./store-writer.ts";
import type { Topics } from "./topics.ts";
import type { Watches } from "./watches.ts";
import type { Tracer } from "./tracing.ts";

/** How a node is to run; all defaults are filled in. */
export interface NodeSettings {
  readonly driver: Driver;
  /** Nothing for the transport's own. */
  readonly store: StoreDriver | undefined;
  readonly cluster: string;
  readonly nodeId: string;
  readonly endpoint: string | undefined;
  readonly weight: number;
  readonly shardCount: number;
  readonly secret: string | undefined;
  readonly times: HeartbeatTimes;
  readonly log: Logger;
  readonly entities: readonly EntityDefinition[];
  readonly handlers: readonly MessageSpec[];
  /** What this node handles, as the others are told. */
  readonly handled: readonly string[];
  readonly tracer?: Tracer | undefined;
}

/** The settings, with time and chance. */
export interface NodeOptions extends NodeSettings {
  readonly clock: Clock;
  readonly random: Random;
  /** Incarnations of this node in this process; those before the last one are over. */
  readonly former: Set<string>;
  /** How many sessions that are over are not forgotten, in tests. */
  readonly sessionsKept?: number;
  readonly events: Events;
  readonly singletons: Singletons;
  /** Who listens to what is published. */
  readonly topics: Topics;
  /** Who of this process watches which entity. */
  readonly watches: Watches;
}

/** Where the ids of an entity type lie, as far as they were checked and hashed lately. */
interface Placement {
  readonly seed: number;
  readonly known: Map<string, number>;
}

const CALL_TICK_MS = 8;
const IDLE_TICK_MS = 500;

/** See the file's header. */
export class NodeContext {
  readonly options: NodeOptions;
  readonly clock: Clock;
  readonly log: Logger;
  /** This start of the node. */
  readonly self: string;
  readonly view: View = new View();
  readonly slices: Slices;
  /** Short deadlines: calls, timers of entities. */
  readonly wheel: TimerWheel;
  /** Long ones: idle activations. */
  readonly idleWheel: TimerWheel;
  readonly calls: Calls;
  /** Only where spans are wanted. */
  readonly tracer: Tracer | undefined;
  /** Calls of handlers that run here, or wait for it. */
  readonly inFlight: InFlight = new InFlight();
  readonly events: Events;
  readonly hot: HotKeys;
  /** What waits here. */
  readonly progress: Progress;
  /** Streams to other nodes, by their incarnations. */
  readonly links: Map<string, LinkCounts> = new Map();
  readonly moves: MoveCounts = new MoveCounts();
  /** Shards that are to be given away, from the first try on: their numbers, and their group. */
  readonly leaving: Waits<number, string>;
  /** True where nobody decides who owns what, and so nobody asks for a lease. */
  isFixed = false;
  /** Where entities with persistence are kept. */
  readonly store: StoreWriter | undefined;
  /** Before this, nothing that is learned is news. */
  hasJoined = false;
  /** The authority's generation. */
  generation = 0;
  /** Told to stop: calls are taken until what has to end before has ended. */
  isStopping = false;
  /** Why no call is taken, once the node stops. */
  refusal: CatgaError | undefined;
  readonly #timers = new Set<() => void>();
  /** True from {@link close} on. */
  isClosed = false;
  #operations = 0;
  readonly #placements = new Map<string, Placement>();

  constructor(options: NodeOptions, self: string, store?: Store) {
    this.options = options;
    this.clock = options.clock;
    this.log = options.log;
    this.self = self;
    this.slices = new Slices(this.clock);
    this.wheel = new TimerWheel(this.clock, CALL_TICK_MS);
    this.idleWheel = new TimerWheel(this.clock, IDLE_TICK_MS);
    this.tracer = options.tracer;
    this.calls = new Calls(this.wheel, options.tracer);
    this.events = options.events;
    this.hot = new HotKeys(this.view, this.events);
    this.progress = new Progress(this.clock, this.events);
    this.leaving = this.progress.list("handoff", ({ subject: shard, work: group }) => {
      return `shard ${shard} of "${group}": its move has taken`;
    });
    this.store = store && new StoreWriter(store, this.progress);
  }

  /** How long this node may still act as an owner, if it does not renew. */
  get leaseLeftMs(): number {
    return this.slices.leaseUntilMs - this.clock.nowMs();
  }

  /** Which store this node's entities are in, if any are kept. */
  get keptAt(): string | undefined {
    const { store, options } = this;
    return store && `${(options.store ?? options.driver).name} ${store.store.identity}`;
  }

  /** True while this node may act as an owner (L3). */
  get leaseHolds(): boolean {
    return this.leaseLeftMs > 0;
  }

  /** The record that makes this node the leader, while it may act as that. */
  get leadership(): Entry | undefined {
    const leader = this.view.entry("leader");
    const isLeader = (leader?.value as LeaderRecord | undefined)?.incarnation === this.self;
    const mayLead = this.hasJoined && this.refusal === undefined && this.leaseHolds;
    return isLeader && mayLead ? leader : undefined;
  }

  /** From now on no call is taken; why not. */
  refuse(): CatgaError {
    this.refusal ??= new CatgaError("CLUSTER_STOPPED", { node: this.options.nodeId });
    return this.refusal;
  }

  /** Calls `run` after `delayMs`, unless the node has closed by then. */
  after(delayMs: number, run: () => void): () => void {
    // What was under way when the node closed may still come to an end, and want more time.
    if (this.isClosed) return () => {};
    const cancel = this.clock.after(delayMs, () => {
      this.#timers.delete(cancel);
      run();
    });
    this.#timers.add(cancel);
    return cancel;
  }

  /**
   * The node closes: nothing happens by itself any more, and nothing keeps the process alive. What
   * hung in the wheel of calls is returned.
   */
  close(): WheelEntry[] {
    this.isClosed = true;
    for (const cancel of this.#timers) cancel();
    this.idleWheel.stop();
    return this.wheel.stop();
  }

  /**
   * The shard of an entity: two types spread the same ids over different shards.
   *
   * @throws {CatgaError} INVALID_ID
   */
  shardOf(entity: string, id: string): number {
    let placement = this.#placements.get(entity);
    if (placement === undefined) {
      placement = { seed: hash(entity), known: new Map() };
      this.#placements.set(entity, placement);
    }
    const { seed, known } = placement;
    let shard = known.get(id);
    if (shard === undefined) {
      checkEntityId(id);
      shard = hash(id, seed) % this.options.shardCount;
      if (known.size === KNOWN_IDS_MAX) known.clear();
      known.set(id, shard);
    }
    return shard;
  }

  /** Who owns the shard of an entity, as far as this node knows. */
  recordOf(entity: string, id: string): ShardRecord | undefined {
    const group = this.view.groupOf(entity);
    return group === undefined
      ? undefined
      : this.view.shard(group, this.shardOf(entity, id))?.record;
  }

  /** An id for an operation or a handoff that no other node and no other call is given. */
  nextOperation(): string {
    return `${this.self}:${++this.#operations}`;
  }
}
