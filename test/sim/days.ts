/**
 * A directed schedule of nodes that come and go for days: sessions that were over for long give
 * their keys to others, while nodes that were stopped for as long wake up.
 */
import { type NodeCluster, startNode } from "../../src/api/cluster.ts";
import type { ClusterOf } from "../../src/index.ts";
import { SESSION_FORGOTTEN_MS } from "../../src/base/limits.ts";
import type { SessionRecord } from "../../src/protocol/records.ts";
import { loadStateCodec } from "../../src/runtime/packet.ts";
import { Simulation } from "../../src/testing/driver.ts";
import { World } from "../../src/testing/world.ts";
import { Oracle, type Probe } from "./oracle.ts";

const ROUNDS = 6;
const DAY_MS = 1.1 * SESSION_FORGOTTEN_MS;
/** Of sessions that are over, so many are not forgotten. */
const KEPT = 2;
const IDS = ["e0", "e1", "e2"] as const;
const WAIT_MS_MAX = 60_000;
/** All calls are answered by then, or never. */
const ANSWERED_MS = 6_000;

/** What was against the rules. */
export async function days(seed: number): Promise<readonly string[]> {
  await loadStateCodec();
  const schedule = new Days(seed);
  await schedule.run();
  return schedule.oracle.violations;
}

class Days {
  readonly #world: World;
  readonly #simulation: Simulation;
  readonly oracle = new Oracle({
    mayAct: (name) => (this.#nodes.get(name)?.leaseLeftMs ?? 0) > 0,
    mayForget: () => true,
  });
  readonly #probe = this.oracle.probe(async () => {});
  readonly #nodes = new Map<string, NodeCluster>();
  /** Of {@link #nodes}, those that own shards. */
  readonly #hosts = new Set<string>();
  readonly #sent = new Map<string, number>();
  #names = 0;
  /** How far all wall clocks were set forward. */
  #aheadMs = 0;
  /** More records of sessions than these are too many. */
  #recordsMax = 0;

  constructor(seed: number) {
    this.#world = new World(seed);
    this.#simulation = new Simulation(this.#world);
    this.#simulation.authority = { drop: 0.05, duplicate: 0.1, delay: [0.2, 20] };
    this.#simulation.network = { drop: 0.05, duplicate: 0.1, delay: [0.1, 10] };
  }

  async run(): Promise<void> {
    const acts = [
      () => this.#restarts(),
      () => this.#stopped(),
      () => this.#stoppedForDays(),
      () => this.#abandoned(),
    ] as const;
    await this.#host();
    await this.#host();
    for (let round = 0; round < ROUNDS; round++) {
      await acts[Math.floor(this.#world.fraction() * acts.length)]!();
      this.#sendAll(...this.#nodes.keys());
      await this.#world.advance(1_000);
    }
    await this.#world.advance(ANSWERED_MS);
    const before = new Map(this.#sent);
    this.#sendAll(...this.#nodes.keys());
    await this.#world.advance(ANSWERED_MS);
    for (const [key, n] of this.#sent) {
      const [id = "", from = ""] = key.split(" of ");
      const isServed = before.get(key) === n || this.oracle.hasRun({ id, from, n });
      if (!isServed) this.oracle.violate(`${id} is not served to ${from} in the end`);
    }
  }

  /** Callers and hosts come and go. */
  async #restarts(): Promise<void> {
    await this.#callersRestart(3);
    const [first = ""] = this.#hosts;
    await this.#host();
    if (this.#world.fraction() < 0.5) await this.#leave(first);
    else this.#kill(first);
    this.#passDays();
    await this.#callersRestart(8);
  }

  /** A node is stopped before it has its first answers, is declared dead, and wakes soon after. */
  async #stopped(): Promise<void> {
    const wake = await this.#stop();
    await this.#callersRestart(4);
    await wake();
  }

  /** The same, and wakes after days. */
  async #stoppedForDays(): Promise<void> {
    const wake = await this.#stop();
    await this.#forgotten();
    await wake();
  }

  /** Everybody who owns something dies, and for days nobody comes who might take over. */
  async #abandoned(): Promise<void> {
    const caller = await this.#join([]);
    for (const name of this.#hosts) this.#kill(name);
    await this.#world.advance(2_000);
    await this.#forgotten();
    await this.#host();
    await this.#host();
    await this.#leave(caller);
  }

  /** Stops a node before its first answers came, for longer than its lease. */
  async #stop(): Promise<() => Promise<void>> {
    const name = this.#world.fraction() < 0.7 ? await this.#join([]) : await this.#host();
    this.#sendAll(name);
    await this.#world.advance(20 * this.#world.fraction());
    this.#world.pause(name);
    await this.#world.advance(1_500);
    return async () => {
      this.#count();
      this.#world.resume(name);
      await this.#world.advance(4_000);
      await this.#leave(name);
    };
  }

  async #callersRestart(times: number): Promise<void> {
    for (let n = 0; n < times; n++) {
      const name = await this.#join([]);
      if (this.#world.fraction() < 0.3) this.#sendAll(name);
      if (this.#world.fraction() < 0.8) await this.#leave(name);
      else this.#kill(name);
    }
    await this.#world.advance(1_000);
  }

  /** Lets days pass, and as many callers come as keys are to be had. */
  async #forgotten(): Promise<void> {
    await this.#callersRestart(KEPT);
    this.#passDays();
    const over = this.#sessions.filter(({ overMs }) => overMs !== undefined);
    await this.#callersRestart(over.length + 1);
  }

  get #sessions(): SessionRecord[] {
    const sessions = this.#simulation.backup().filter(({ key }) => key.startsWith("n."));
    return sessions.map(({ value }) => value as SessionRecord);
  }

  async #host(): Promise<string> {
    const name = await this.#join([this.#probe]);
    this.#hosts.add(name);
    return name;
  }

  async #join(entities: readonly [] | readonly [Probe]): Promise<string> {
    this.#count();
    const name = `n${++this.#names}`;
    this.#world.jumpWall(name, this.#aheadMs);
    const options = { nodeId: name, transport: this.#simulation, shardCount: 8, entities } as const;
    const place = { clock: this.#world.clockOf(name), random: this.#world, sessionsKept: KEPT };
    const starting = startNode(options, place).catch(() => undefined);
    const node = await this.#world.until(starting, WAIT_MS_MAX);
    this.#count();
    // Who is slow to join may be declared dead.
    if (node === undefined) return this.#join(entities);
    this.#nodes.set(name, node);
    return name;
  }

  async #leave(name: string): Promise<void> {
    await this.#world.until(this.#nodes.get(name)!.stop(), WAIT_MS_MAX);
    this.#nodes.delete(name);
    this.#hosts.delete(name);
  }

  #kill(name: string): void {
    this.#world.kill(name);
    this.#nodes.delete(name);
    this.#hosts.delete(name);
  }

  #passDays(): void {
    this.#aheadMs += DAY_MS;
    for (const name of ["authority", ...this.#nodes.keys()]) this.#world.jumpWall(name, DAY_MS);
  }

  /** There are no more records of sessions than of those that live, are kept, or ended lately. */
  #count(): void {
    const sessions = this.#sessions;
    const wallMs = this.#world.clockOf("authority").wallMs();
    const needed = sessions.filter(({ overMs = Number.POSITIVE_INFINITY }) => {
      return wallMs - overMs <= SESSION_FORGOTTEN_MS;
    });
    this.#recordsMax = Math.max(this.#recordsMax, needed.length + KEPT + 1);
    if (sessions.length <= this.#recordsMax) return;
    this.oracle.violate(`${sessions.length} sessions are kept, not ${this.#recordsMax}`);
  }

  /** Each of `names` sends a message to each entity. */
  #sendAll(...names: readonly string[]): void {
    for (const from of names) {
      // What was not answered may have run, once.
      for (const id of IDS) this.#send(from, id).catch(() => {});
    }
  }

  async #send(from: string, id: string): Promise<void> {
    const key = `${id} of ${from}`;
    const n = (this.#sent.get(key) ?? 0) + 1;
    this.#sent.set(key, n);
    const node: ClusterOf<Probe> = this.#nodes.get(from)!;
    const entity = node.entity(this.#probe, id);
    await entity.send({ type: "add", from, n, ms: 0 }, { timeout: "5s" });
    this.oracle.answered({ id, from, n });
  }
}
