/** Directed schedules of nodes that join at about the same time and may not all stay. */
import { type NodeCluster, startNode } from "../../src/api/cluster.ts";
import { command, defineEntity, isCatgaError } from "../../src/index.ts";
import { memoryStore } from "../../src/drivers/memory/store.ts";
import type { SessionRecord } from "../../src/protocol/records.ts";
import { Simulation } from "../../src/testing/driver.ts";
import { World } from "../../src/testing/world.ts";
import { loadStateCodec } from "../../src/runtime/packet.ts";

const Kept = defineEntity("kept", {
  messages: { count: command<void, number>() },
  persistence: "write-through",
  state: () => ({ count: 0 }),
  handlers: { count: ({ state }) => ++state.count },
});

/** Nodes that begin, and the store of each. */
const BEGIN = [0, 1, 0, 1] as const;
const WAIT_MS_MAX = 60_000;

/** Processes that are given one node id: one at most stays. What was against the rules. */
export async function oneId(seed: number): Promise<readonly string[]> {
  const world = new World(seed);
  const simulation = new Simulation(world);
  const delay = [0.2, 1 + 80 * world.fraction()] as const;
  simulation.authority = { drop: 0.2, duplicate: 0.1, delay };
  const join = async (): Promise<void> => {
    const withinMs = 100 * world.fraction();
    await new Promise<void>((resolve) => void world.schedule("n", withinMs, resolve));
    const place = { clock: world.clockOf("n"), random: world };
    await startNode({ nodeId: "n", transport: simulation }, place).catch(() => {});
  };
  await world.until(Promise.all([join(), join(), join()]), WAIT_MS_MAX);
  await world.advance(1_000);
  const { length } = joined(simulation);
  return length > 1 ? [`${length} nodes have one id`] : [];
}

/**
 * Nodes that keep their entities in one of two stores: shards move between them, so those of one
 * store alone may stay. Later they are stopped for longer than their leases while one of the other
 * store joins, and want their seats back. What was against the rules.
 */
export async function twoStores(seed: number): Promise<readonly string[]> {
  await loadStateCodec();
  const world = new World(seed);
  const simulation = new Simulation(world);
  simulation.authority = { drop: 0.2, duplicate: 0.1, delay: [0.2, 1 + 80 * world.fraction()] };
  const stores = [memoryStore(), memoryStore()];
  const violations: string[] = [];
  const join = async (name: string, store: number): Promise<NodeCluster | undefined> => {
    const withinMs = 200 * world.fraction();
    await new Promise<void>((resolve) => void world.schedule(name, withinMs, resolve));
    const options = { nodeId: name, transport: simulation, store: stores[store]!, shardCount: 8 };
    const place = { clock: world.clockOf(name), random: world };
    return startNode({ ...options, entities: [Kept] }, place).catch((error: unknown) => {
      // Who is slow to join may be declared dead.
      if (!isCatgaError(error)) violations.push(`${name} failed with ${String(error)}`);
      return undefined;
    });
  };
  const check = (when: string): void => {
    const named = new Set(joined(simulation).map(({ store }) => store));
    if (named.size > 1) violations.push(`${named.size} stores have nodes ${when}`);
  };
  const joining = BEGIN.map((store, n) => join(`n${n}`, store));
  const nodes = await world.until(Promise.all(joining), WAIT_MS_MAX);
  await world.advance(3_000);
  check("after some have joined at the same time");
  const first = BEGIN.find((_, n) => nodes[n] !== undefined) ?? 0;
  for (const n of BEGIN.keys()) world.pause(`n${n}`);
  // What they had sent has arrived: nobody is there who could object.
  await world.advance(200);
  const late = await world.until(join("late", 1 - first), WAIT_MS_MAX);
  if (late === undefined)
    violations.push("nobody lives, and yet one of another store may not join");
  for (const n of BEGIN.keys()) world.resume(`n${n}`);
  await world.advance(6_000);
  check("after one has come back");
  return violations;
}

/** The sessions of all who live and have joined. */
function joined(simulation: Simulation): SessionRecord[] {
  const sessions = simulation.backup().filter(({ key }) => key.startsWith("n."));
  const records = sessions.map(({ value }) => value as SessionRecord);
  return records.filter(({ state, heartbeat }) => state === "up" && heartbeat > 0);
}
