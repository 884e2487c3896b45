/**
 * Watches against a model, under random faults: whatever happened under a valid lease, on any node,
 * since a watch was heard everywhere, was told to it in the end, or it was told of a loss since
 * then; and as long as it is heard, no later than a lease after it happened.
 */
import { expect, test } from "bun:test";
import { HEARTBEATS } from "../../src/base/limits.ts";
import { World } from "../../src/testing/world.ts";
import { type Nodes, start, topicsOf } from "./topics.ts";

const LEASE_MS = HEARTBEATS.fast.timeoutMs;
const TYPES = ["paid", "sent"];
const SEEDS = 60;
const STEPS = 120;

interface Happening {
  readonly atMs: number;
  readonly node: string;
  readonly type: string;
  readonly n: number;
}

/** One watch, and what it has to be told. */
class Model {
  readonly node: string;
  readonly type: string;
  readonly wantsMessage: boolean;
  /** It was heard at some time: from then on it counts. */
  isEstablished = false;
  expected: Happening[] = [];
  readonly #cluster: Nodes;

  constructor(cluster: Nodes, node: string, [type, wantsMessage]: readonly [string, boolean]) {
    this.#cluster = cluster;
    this.node = node;
    this.type = type;
    this.wantsMessage = wantsMessage;
    topicsOf(cluster, node).watch(type, {
      wantsMessage,
      heard: (message) => this.#heard(message as Happening | undefined),
      lost: () => {
        // What was kept is gone, and nothing is kept before it is heard again.
        this.expected = [];
        this.isEstablished = false;
      },
    });
  }

  happened(happening: Happening): void {
    if (this.isEstablished && happening.type === this.type) this.expected.push(happening);
  }

  /** What it should have been told by now. */
  check(): void {
    if (!topicsOf(this.#cluster, this.node).isHeard(this.type)) return;
    this.isEstablished = true;
    const lateMs = this.#cluster.nowMs - LEASE_MS;
    expect(this.expected.filter(({ atMs }) => atMs < lateMs)).toEqual([]);
  }

  #heard(message: Happening | undefined): void {
    if (message !== undefined) expect(this.wantsMessage).toBe(true);
    // One without a message stands for all there were.
    this.expected = message === undefined ? [] : this.expected.filter(({ n }) => n !== message.n);
  }
}

test.each(Array.from({ length: SEEDS }, (_, seed) => seed + 1))(
  "what happens is told, or a loss is: seed %i",
  async (seed) => {
    await using cluster = await start({ nodes: 4, seed });
    const chance = new World(seed + 1_000);
    const run = new Run(cluster, chance);
    for (let n = 0; n < STEPS; n++) {
      await run.step(n);
      for (const model of run.models) if (run.runs(model.node)) model.check();
    }
    await run.end();
    const left = run.models.filter(({ node }) => cluster.names.includes(node));
    for (const model of left) {
      expect({ seed, isHeard: topicsOf(cluster, model.node).isHeard(model.type) }).toEqual({
        seed,
        isHeard: true,
      });
      expect({ seed, missed: model.expected }).toEqual({ seed, missed: [] });
    }
  },
);

/** One schedule. */
class Run {
  readonly models: Model[] = [];
  readonly #cluster: Nodes;
  readonly #chance: World;
  readonly #paused = new Set<string>();
  #joined = 4;

  constructor(cluster: Nodes, chance: World) {
    this.#cluster = cluster;
    this.#chance = chance;
  }

  runs(node: string): boolean {
    return this.#cluster.names.includes(node) && !this.#paused.has(node);
  }

  async step(n: number): Promise<void> {
    const { names } = this.#cluster;
    const node = this.#pick(names);
    if (this.models.length < 6 && this.#isLucky(0.2) && this.runs(node)) {
      const what = [this.#pick(TYPES), this.#isLucky(0.5)] as const;
      this.models.push(new Model(this.#cluster, node, what));
    }
    for (let times = 0; times < 4; times++) this.#happen(this.#pick(names), n * 10 + times);
    if (this.#isLucky(0.15)) await this.#fault(node);
    await this.#cluster.advance(this.#chance.fraction() * (this.#isLucky(0.1) ? 600 : 60));
  }

  async end(): Promise<void> {
    this.#heal();
    await this.#cluster.advance("20s");
  }

  #happen(node: string, n: number): void {
    // A turn runs under a valid lease only.
    if (!this.runs(node) || !this.#cluster.leaseHolds(node)) return;
    const atMs = this.#cluster.nowMs;
    const happening = { atMs, node, type: this.#pick(TYPES), n };
    for (const model of this.models) if (model.node !== node) model.happened(happening);
    // Large now and then: frames fill, and windows.
    const text = "x".repeat(this.#isLucky(0.1) ? 900_000 : 1);
    topicsOf(this.#cluster, node).happened(happening.type, { ...happening, text });
  }

  async #fault(node: string): Promise<void> {
    const cluster = this.#cluster;
    const lot = this.#chance.fraction();
    if (lot < 0.2) {
      const drop = this.#chance.fraction() * 0.5;
      cluster.network({ drop, duplicate: 0.2, delay: [0, this.#chance.fraction() * 200] });
    } else if (lot < 0.4) cluster.partition([node], [this.#pick(cluster.names)]);
    else if (lot < 0.55) this.#heal();
    else if (lot < 0.65) cluster.isolate(node);
    else if (lot < 0.8 && this.runs(node)) {
      cluster.pause(node);
      this.#paused.add(node);
    } else if (lot < 0.9 && cluster.names.length > 2) {
      this.#paused.delete(node);
      cluster.kill(node);
    } else if (lot >= 0.9 && this.#joined < 7) {
      this.#heal();
      await cluster.join(`n${++this.#joined}`);
      // Nobody has told it yet what is wanted.
      this.#happen(`n${this.#joined}`, 10_000 + this.#joined);
    }
  }

  #heal(): void {
    this.#cluster.heal();
    this.#cluster.network({});
    for (const node of this.#paused) this.#cluster.resume(node);
    this.#paused.clear();
  }

  #isLucky(share: number): boolean {
    return this.#chance.fraction() < share;
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#chance.fraction() * from.length)]!;
  }
}
