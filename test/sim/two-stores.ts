/**
 * Nodes that join at about the same time and keep their entities in one of two stores: shards move
 * between them, so those of one store alone may stay. Later the node that stayed is stopped for
 * longer than its lease while one of the other store joins, and wants its seat back.
 */
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

/** Runs one; what was against the rules. */
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
    const named = storesOf(simulation);
    if (named.size > 1) violations.push(`${named.size} stores have nodes ${when}`);
  };
  const joining = BEGIN.map((store, n) => join(`n${n}`, store));
  const nodes = await world.until(Promise.all(joining), WAIT_MS_MAX);
  await world.advance(3_000);
  check("after some have joined at the same time");
  const first = BEGIN.find((_, n) => nodes[n] !== undefined) ?? 0;
  for (const n of BEGIN.keys()) world.pause(`n${n}`);
  // So there is nobody who could object.
  const late = await world.until(join("late", 1 - first), WAIT_MS_MAX);
  if (late === undefined)
    violations.push("nobody lives, and yet one of another store may not join");
  for (const n of BEGIN.keys()) world.resume(`n${n}`);
  await world.advance(6_000);
  check("after one has come back");
  return violations;
}

/** The stores of all who live and have joined. */
function storesOf(simulation: Simulation): Set<string | undefined> {
  const sessions = simulation.backup().filter(({ key }) => key.startsWith("n."));
  const records = sessions.map(({ value }) => value as SessionRecord);
  const joined = records.filter(({ state, heartbeat }) => state === "up" && heartbeat > 0);
  return new Set(joined.map(({ store }) => store));
}
