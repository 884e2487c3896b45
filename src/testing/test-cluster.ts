/**
 * A cluster of n nodes in one process, for tests: the real nodes, in time that moves only when the
 * test says so, over a network that fails as the test says. The same seed is the same run.
 */
import { type NodeCluster, startNode } from "../api/cluster.ts";
import type { ClusterOf } from "../api/cluster-of.ts";
import type { AnyEntity } from "../api/entity.ts";
import type { ClusterOptions } from "../api/options.ts";
import { type Duration, durationMs } from "../base/duration.ts";
import { loadStateCodec } from "../runtime/packet.ts";
import type { StoredEntity } from "../ports/store.ts";
import { AUTHORITY, type Backup, Simulation } from "./driver.ts";
import type { StoreNetwork } from "./store.ts";
import type { Traffic } from "./traffic.ts";
import { type ClockSkew, type Network, World } from "./world.ts";

/** What a node of a test may be given. */
export interface TestNodeOptions<E extends readonly AnyEntity[]> extends Pick<
  ClusterOptions<E>,
  | "entities"
  | "handlers"
  | "failover"
  | "heartbeat"
  | "log"
  | "middleware"
  | "weight"
  | "shardCount"
> {
  readonly clock?: ClockSkew;
}

/** What a test cluster may be given. */
export interface TestOptions<E extends readonly AnyEntity[]> extends TestNodeOptions<E> {
  /** Nodes to begin with, called `n1`, `n2` and so on. @default 3 */
  readonly nodes?: number;
  /** Decides every tie, delay and fault. @default 1 */
  readonly seed?: number;
  /** What frames suffer from the beginning. */
  readonly network?: Network;
}

/** Longer than this of simulated time nothing is waited for. */
const WAIT_MS_MAX = 3_600_000;

/**
 * See the file's header.
 *
 * @example
 * await using cluster = await TestCluster.start({ nodes: 3, entities: [Account], seed: 7 });
 * const account = cluster.node("n1").entity(Account, "42");
 * await cluster.run(account.send({ type: "deposit", amount: 1 }));
 * cluster.kill("n2");
 * await cluster.advance("2s");
 */
export class TestCluster<E extends readonly AnyEntity[]> implements AsyncDisposable {
  readonly seed: number;
  readonly #world: World;
  readonly #simulation: Simulation;
  readonly #options: TestOptions<E>;
  readonly #nodes = new Map<string, NodeCluster>();

  private constructor(options: TestOptions<E>, world: World) {
    const { seed = 1, network = {} } = options;
    this.seed = seed;
    this.#options = options;
    this.#world = world;
    this.#simulation = new Simulation(this.#world);
    this.#simulation.network = network;
  }

  /**
   * Starts the cluster; all its nodes have joined. In `world` catga's own tests order its events.
   */
  static async start<const E extends readonly AnyEntity[] = readonly []>(
    options: TestOptions<E> = {},
    world: World = new World(options.seed ?? 1),
  ): Promise<TestCluster<E>> {
    // Loaded in real time, before the simulated one begins.
    await loadStateCodec();
    const cluster = new TestCluster(options, world);
    for (let n = 1; n <= (options.nodes ?? 3); n++) await cluster.join(`n${n}`);
    return cluster;
  }

  /** Names of the nodes that were started and have not left. */
  get names(): string[] {
    return [...this.#nodes.keys()];
  }

  /** True time since the start, in milliseconds. */
  get nowMs(): number {
    return this.#world.nowMs;
  }

  /** What all nodes have sent and asked so far: the cost of something is a difference of two. */
  get traffic(): Traffic {
    return Object.assign({}, this.#simulation.meter);
  }

  /** The cluster as node `name` sees it. @throws {RangeError} when there is no such node. */
  node(name: string): ClusterOf<E[number]> {
    return this.#node(name);
  }

  /** True while node `name` may act for what it owns: its session lease holds by its own clock. */
  leaseHolds(name: string): boolean {
    return this.#node(name).leaseLeftMs > 0;
  }

  /** Starts a node, with entity types of its own if it is given some; resolves when it joined. */
  async join<const F extends readonly AnyEntity[] = E>(
    name: string,
    options: TestNodeOptions<F> = {},
  ): Promise<ClusterOf<F[number]>> {
    const { nodes: _, seed: __, network: ___, clock: skew, ...all } = this.#options;
    const { clock = skew, ...own } = options;
    const starting = startNode(
      { ...all, ...own, nodeId: name, transport: this.#simulation },
      { clock: this.#world.clockOf(name, clock), random: this.#world },
    );
    this.#nodes.set(name, await this.run(starting));
    return this.#node(name);
  }

  /** Lets a node leave: it hands everything over first. */
  async leave(name: string): Promise<void> {
    await this.run(this.node(name).stop());
    this.#nodes.delete(name);
  }

  /** Ends a node without a word, as SIGKILL does. */
  kill(name: string): void {
    this.node(name);
    this.#nodes.delete(name);
    this.#world.kill(name);
  }

  /** Stops a node where it is, as SIGSTOP does. */
  pause(name: string): void {
    this.node(name);
    this.#world.pause(name);
  }

  /**
   * Lets a node compute for `by` without giving its event loop back: its clock moves on, and its
   * timers, frames and news wait. A handler calls it, or the test between two.
   */
  block(name: string, by: Duration): void {
    this.node(name);
    this.#world.block(name, durationMs(by, "time"));
  }

  /** Lets a paused node go on; what became due meanwhile comes in any order. */
  resume(name: string): void {
    this.#world.resume(name);
  }

  /**
   * Cuts the network between the nodes of different groups; frames between them are lost. The name
   * "store" stands for the store: who is cut off from it cannot tell what became of its writes.
   */
  partition(...groups: readonly (readonly string[])[]): void {
    for (const [index, group] of groups.entries()) {
      for (const other of groups.slice(index + 1).flat()) {
        for (const one of group) this.#simulation.cut(one, other);
      }
    }
  }

  /** Cuts nodes off the authority: they can neither renew their sessions nor hear any news. */
  isolate(...names: readonly string[]): void {
    for (const name of names) this.#simulation.cut(name, AUTHORITY);
  }

  /** Opens everything that was cut. */
  heal(): void {
    this.#simulation.heal();
  }

  /** What frames suffer from now on. */
  network(network: Network): void {
    this.#simulation.network = network;
  }

  /** What requests to the authority, its answers and its news suffer from now on. */
  authority(network: Network): void {
    this.#simulation.authority = network;
  }

  /**
   * What requests to the store and its answers suffer from now on. Of a lost request nothing is
   * carried out, or the beginning of its batch; of a lost answer everything was. A late one is
   * carried out when it arrives, whatever has become of the node that sent it.
   */
  store(network: StoreNetwork): void {
    this.#simulation.store.network = network;
  }

  /** What is stored of an entity, whichever nodes run. */
  stored(entity: E[number] | E[number]["name"], id: string): StoredEntity | undefined {
    const { name } = typeof entity === "string" ? { name: entity } : entity;
    return this.#simulation.store.stored(name, id);
  }

  /** The records of the authority as they stand, for {@link restore}. */
  backup(): Backup {
    return this.#simulation.backup();
  }

  /**
   * Loses what the authority acknowledged since `backup`, or everything: every node ends with what
   * it has in memory, and joins anew when every lease is over. @default []
   */
  restore(backup: Backup = []): void {
    this.#simulation.restore(backup);
  }

  /** Sets the wall clock of a node forward, or back. */
  jumpWall(name: string, byMs: number): void {
    this.#world.jumpWall(name, byMs);
  }

  /** Lets time pass. */
  advance(by: Duration): Promise<void> {
    return this.#world.advance(durationMs(by, "time"));
  }

  /** Resolves after `by`, as a timer of node `name` does: what a handler waits with. */
  sleep(name: string, by: Duration): Promise<void> {
    const ms = durationMs(by, "time") + this.#world.aheadMs(name);
    return new Promise((resolve) => void this.#world.schedule(name, ms, resolve));
  }

  /** Lets time pass until `promise` has settled: its value or its error. */
  run<T>(promise: Promise<T>): Promise<T> {
    return this.#world.until(promise, WAIT_MS_MAX);
  }

  /** Stops all nodes that run. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.names) {
      if (this.#world.healthOf(name) !== "runs") this.kill(name);
    }
    this.heal();
    await this.run(Promise.all([...this.#nodes.values()].map((node) => node.stop())));
  }

  #node(name: string): NodeCluster {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new RangeError(`Cannot use node "${name}": there is none`);
    return node;
  }
}
