/** A directed schedule of leaders that come and go: what only a leader does runs once at a time. */
import { TestCluster } from "../../src/testing/index.ts";
import { World } from "../../src/testing/world.ts";

const NODES = 4;
const ROUNDS = 12;
/** Longer than nobody leads after the last fault. */
const WAIT_MS_MAX = 15_000;

interface Run {
  readonly node: string;
  readonly signal: AbortSignal;
  /** When it was seen first to run without a lease: whoever was stopped wakes up like that. */
  lapsedMs: number;
}

/**
 * Leaders die, stand still, are cut off and leave, while a task runs on whoever leads. It looks at
 * its signal often, but now and then takes its time when that has aborted. What was against the
 * rules: a run beside another one whose node holds its lease and has not told it to end, beside
 * one of a node that leaves, or beside one of the same node; and one that goes on without a lease.
 */
export async function oneTask(seed: number): Promise<readonly string[]> {
  const scene = new Leading(seed);
  await scene.start();
  for (let round = 0; round < ROUNDS; round++) await scene.fault();
  return scene.end();
}

class Leading {
  readonly #violations: string[] = [];
  readonly #running = new Set<Run>();
  /** What was told to end because its node leaves. */
  readonly #leaving = new Set<Run>();
  readonly #world: World;
  #cluster!: TestCluster<readonly []>;
  #joined = 0;
  /** Leases of 800 ms, or else of 3 s. */
  readonly #isFast: boolean;

  constructor(seed: number) {
    this.#world = new World(seed);
    this.#isFast = this.#ms(0, 1) > 0;
  }

  async start(): Promise<void> {
    const heartbeat = this.#isFast ? "fast" : "normal";
    const options = { nodes: 0, heartbeat, shardCount: 8 } as const;
    this.#cluster = await TestCluster.start(options, this.#world);
    this.#cluster.authority({ drop: 0.1, duplicate: 0.1, delay: [0.2, 1 + this.#ms(0, 60)] });
    while (this.#joined < NODES) await this.#join();
    await this.#cluster.advance("1s");
  }

  /** One of what may happen to a leader, or to another node. */
  async fault(): Promise<void> {
    const cluster = this.#cluster;
    const leaders = [...this.#running].map(({ node }) => node).filter((node) => this.#isHere(node));
    const pool = this.#ms(0, 2) > 0 && leaders.length > 0 ? leaders : cluster.names;
    const victim = pool[this.#ms(0, pool.length - 1)]!;
    const kind = this.#ms(0, 4);
    if (kind === 0) {
      cluster.kill(victim);
      await this.#join();
    } else if (kind === 1) {
      cluster.pause(victim);
      await cluster.advance(this.#ms(100, this.#isFast ? 2_500 : 8_000));
      cluster.resume(victim);
    } else if (kind === 2) {
      cluster.isolate(victim);
      await cluster.advance(this.#ms(100, this.#isFast ? 2_500 : 8_000));
      cluster.heal();
    } else {
      for (const run of this.#running) {
        if (run.node === victim && this.#acts(run)) this.#leaving.add(run);
      }
      await cluster.leave(victim);
      await this.#join();
    }
    await cluster.advance(this.#ms(0, 1_500));
  }

  async end(): Promise<readonly string[]> {
    const untilMs = this.#cluster.nowMs + WAIT_MS_MAX;
    while (!this.#someoneLeads() && this.#cluster.nowMs < untilMs) await this.#cluster.advance(100);
    if (!this.#someoneLeads()) this.#violations.push("nobody runs the task in the end");
    await this.#cluster[Symbol.asyncDispose]();
    return this.#violations;
  }

  async #join(): Promise<void> {
    const node = `n${++this.#joined}`;
    const rate = 1 + (this.#world.fraction() - 0.5) / 100;
    // Who is slow to join may be declared dead.
    const cluster = await this.#cluster.join(node, { clock: { rate } }).catch(() => undefined);
    if (cluster === undefined) return this.#join();
    cluster.singleton("task", (signal) =>
      this.#task({ node, signal, lapsedMs: Number.POSITIVE_INFINITY }),
    );
  }

  async #task(run: Run): Promise<void> {
    const { node, signal } = run;
    for (const other of this.#running) {
      if (other.node === node) this.#violations.push(`${node} runs the task twice`);
    }
    this.#running.add(run);
    const lastMs = this.#ms(0, 3) > 0 ? Number.POSITIVE_INFINITY : this.#ms(0, 2_000);
    const startMs = this.#cluster.nowMs;
    while (!signal.aborted && this.#cluster.nowMs < startMs + lastMs) {
      this.#check(run);
      await this.#cluster.sleep(node, this.#ms(1, 40));
    }
    // It takes its time to end.
    if (this.#ms(0, 1) > 0) await this.#cluster.sleep(node, this.#ms(0, 300));
    this.#running.delete(run);
    if (!signal.aborted) throw new Error("begin again");
  }

  #check(run: Run): void {
    if (!this.#holds(run.node)) {
      run.lapsedMs = Math.min(run.lapsedMs, this.#cluster.nowMs);
      if (this.#cluster.nowMs === run.lapsedMs) return;
      this.#violations.push(`${run.node} is not told that its lease has ended`);
    }
    for (const other of this.#running) {
      if (other === run) continue;
      const isLeaving = this.#leaving.has(other) && this.#holds(other.node);
      if (!isLeaving && !this.#acts(other)) continue;
      this.#violations.push(`${run.node} runs the task while ${other.node} does`);
    }
  }

  #someoneLeads(): boolean {
    return [...this.#running].some((run) => this.#acts(run));
  }

  #acts({ node, signal }: Run): boolean {
    return !signal.aborted && this.#holds(node);
  }

  #holds(node: string): boolean {
    return this.#isHere(node) && this.#cluster.leaseHolds(node);
  }

  #isHere(node: string): boolean {
    return this.#cluster.names.includes(node);
  }

  /** A whole number, chosen by the seed. */
  #ms(min: number, max: number): number {
    return min + Math.floor(this.#world.fraction() * (max - min + 1));
  }
}
