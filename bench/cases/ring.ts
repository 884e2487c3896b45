/**
 * What the ring of a hundred nodes gives and costs. How much a join moves, in shares of the node
 * that joins, and how far the fullest node is above the mean, are counted over forty sets of names
 * and do not depend on the machine; with fewer nodes and fewer shards, for comparison. To compute
 * the ring takes milliseconds; its floor is to hash as many points and to sort them.
 */
import { runtimeOf } from "../../src/base/runtime.ts";
import { hash } from "../../src/base/hash.ts";
import { VIRTUAL_NODES } from "../../src/base/limits.ts";
import { createRing, type RingNode } from "../../src/base/ring.ts";
import { atMost, countFigure, type Figure, written } from "../figure.ts";
import { contest, type Load } from "../measure/contest.ts";
import { effort } from "../measure/effort.ts";
import { say } from "../parent.ts";

const SETS = 40;
const MOVED_GOAL = 1.5;
const LOAD_GOAL = 1.15;
const RING_GOAL_MS = 5;
const NODES = 100;
const SHARDS = 4_096;

interface Spread {
  /** Shards that one join moves, by the share of the node that joins. */
  readonly moved: number;
  /** Shards of the fullest node by the mean. */
  readonly fullest: number;
}

function members(count: number, set: number): RingNode[] {
  return Array.from({ length: count }, (_, n) => ({ name: `node-${set}-${n}`, weight: 1 }));
}

function spreadOf(count: number, shardCount: number, set: number): Spread {
  const before = createRing(members(count, set), shardCount, hash);
  const after = createRing(members(count + 1, set), shardCount, hash);
  const held = new Map<string, number>();
  let moved = 0;
  for (const [shard, target] of before.targets.entries()) {
    const { name } = before.nodes[target]!;
    held.set(name, (held.get(name) ?? 0) + 1);
    if (after.nodes[after.targets[shard]!]!.name !== name) moved++;
  }
  return {
    moved: (moved * (count + 1)) / shardCount,
    fullest: (Math.max(...held.values()) * count) / shardCount,
  };
}

function tellSpread(count: number, shardCount: number): void {
  const isGoal = count === NODES && shardCount === SHARDS;
  const spreads = Array.from({ length: SETS }, (_, set) => spreadOf(count, shardCount, set));
  const moved = spreads.map((spread) => spread.moved);
  const mean = moved.reduce((sum, each) => sum + each, 0) / SETS;
  const fullest = Math.max(...spreads.map((spread) => spread.fullest));
  const name = `${count} nodes, ${written(shardCount)} shards`;
  const figure = { unit: "×", n: SETS } as const;
  const movedGoals = isGoal ? [atMost(mean, MOVED_GOAL, "×")] : [];
  say(countFigure(`${name}: a join moves`, { ...figure, ops: mean }, movedGoals));
  say(countFigure(`${name}: the worst join`, { ...figure, ops: Math.max(...moved) }));
  const loadGoals = isGoal ? [atMost(fullest, LOAD_GOAL, "×")] : [];
  say(countFigure(`${name}: the fullest node`, { ...figure, ops: fullest }, loadGoals));
}

const nodes = members(NODES, 0);
/** What was computed is counted, so that no compiler finds out that nobody wants it. */
let computed = 0;

function timed(run: () => number): Load {
  return async (count, latenciesMs) => {
    for (let n = 0; n < count; n++) {
      const beganMs = performance.now();
      computed += run();
      latenciesMs.push(performance.now() - beganMs);
    }
  };
}

function hashAndSort(): number {
  const points = new Float64Array(NODES * VIRTUAL_NODES);
  let at = 0;
  for (const { name } of nodes) {
    for (let n = 0; n < VIRTUAL_NODES; n++) points[at++] = hash(name, n);
  }
  return points.sort()[0]!;
}

async function tellTime(): Promise<void> {
  const subject = timed(() => createRing(nodes, SHARDS, hash).targets[0]!);
  const outcome = await contest({ subject, floor: timed(hashAndSort) }, effort());
  const { p50Us, p99Us } = outcome.subject;
  const { name, version } = runtimeOf();
  say({
    name: `${NODES} nodes, ${written(SHARDS)} shards: the ring`,
    runtime: `${name} ${version}`,
    unit: "ms",
    ops: p50Us / 1_000,
    p50Us,
    p99Us,
    n: outcome.n,
    floor: outcome.floor.p50Us / 1_000,
    ratio: outcome.ratioP50,
    goals: [atMost(p50Us / 1_000, RING_GOAL_MS, "ms")],
  } satisfies Figure);
}

for (const count of [3, 10, 30, NODES]) tellSpread(count, 1_024);
tellSpread(NODES, SHARDS);
await tellTime();
if (!(computed > 0)) throw new Error("Cannot trust the ring: nothing was computed");
