/** The store of a simulated cluster: it passes the contract, and fails as it is told. */
import { describe, expect, test } from "bun:test";
import { isCatgaError } from "../../src/index.ts";
import type { Store, StoreResult } from "../../src/ports/store.ts";
import { Simulation } from "../../src/testing/driver.ts";
import type { StoreNetwork } from "../../src/testing/store.ts";
import { World } from "../../src/testing/world.ts";
import { casesOf } from "../contracts/check.ts";
import { put, someKey, type StoreFixture } from "../contracts/kept.ts";
import { storeContract } from "../contracts/store.contract.ts";

/** A simulation keeps one cluster, which has one number of shards and one time for all. */
const IS_OF_OTHERS = /clusters of different names|shardCount|forgotten/;

for (const { name, run } of casesOf("simulated store", storeContract, runningStore)) {
  if (!IS_OF_OTHERS.test(name)) test(name, run, 30_000);
}

/** A store whose time goes by itself while the fixture is open. */
async function runningStore(): Promise<StoreFixture> {
  const world = new World(1);
  const simulation = new Simulation(world);
  const state = { isOpen: true };
  let nodes = 0;
  const running = (async () => {
    while (state.isOpen) await world.advance(1);
  })();
  return {
    open: async () => (await portsOf(simulation, `n${++nodes}`)).store,
    async close() {
      state.isOpen = false;
      await running;
    },
  };
}

async function portsOf(simulation: Simulation, node: string): Promise<{ readonly store: Store }> {
  const { store } = await simulation.connect({ incarnation: `${node}.1` });
  if (store === undefined) throw new Error("A simulated cluster has a store");
  return { store };
}

/** Two nodes of a simulation, and what becomes of what they ask. */
async function stores({ seed = 1, ...network }: StoreNetwork & { readonly seed?: number } = {}) {
  const world = new World(seed);
  const simulation = new Simulation(world);
  simulation.store.network = network;
  const { store: first } = await portsOf(simulation, "n1");
  const { store: second } = await portsOf(simulation, "n2");
  return { world, simulation, first, second };
}

async function outcomeOf(write: Promise<StoreResult[]>): Promise<string> {
  try {
    const [result] = await write;
    return result!.ok ? "carried out" : "refused";
  } catch (error) {
    return isCatgaError(error) ? error.code : String(error);
  }
}

describe("a simulated store", () => {
  test("asks chance for nothing while nobody asks it", async () => {
    const fractions = [];
    for (const isAsked of [false, true]) {
      const { world, first } = await stores();
      if (isAsked) await world.until(first.load(someKey()), 10);
      fractions.push(world.fraction());
    }
    expect(fractions[0]).toBe(new World(1).fraction());
    expect(fractions[1]).not.toBe(fractions[0]);
  });

  test("loses requests and answers: both are unknown, and only one is carried out", async () => {
    const { world, simulation, first } = await stores({ drop: 0.4 });
    const seen = new Map<string, number>();
    for (let n = 0; n < 200; n++) {
      const key = someKey();
      const outcome = await world.until(outcomeOf(first.write([put(key)])), 2_000);
      const isKept = simulation.store.stored(key.entity, key.id) !== undefined;
      const what = `${outcome}, ${isKept ? "kept" : "not kept"}`;
      seen.set(what, (seen.get(what) ?? 0) + 1);
    }
    expect([...seen.keys()].sort()).toEqual([
      "STORE_UNAVAILABLE, kept",
      "STORE_UNAVAILABLE, not kept",
      "carried out, kept",
    ]);
  });

  test("carries out the beginning of a batch that does not arrive whole", async () => {
    const { world, simulation, first } = await stores({ drop: 1 });
    const counts = new Set<number>();
    for (let n = 0; n < 100; n++) {
      const keys = Array.from({ length: 4 }, () => someKey());
      const outcome = outcomeOf(first.write(keys.map((key) => put(key))));
      expect(await world.until(outcome, 2_000)).toBe("STORE_UNAVAILABLE");
      const kept = keys.map(({ entity, id }) => simulation.store.stored(entity, id) !== undefined);
      expect(kept).toEqual(kept.toSorted((a, b) => Number(b) - Number(a)));
      counts.add(kept.filter(Boolean).length);
    }
    expect(counts).toEqual(new Set([0, 1, 2, 3]));
  });

  test("is written to by a node that was killed, when that arrives late", async () => {
    const { world, simulation, first } = await stores({ delay: [500, 500] });
    const key = someKey();
    const told: unknown[] = [];
    const tell = (outcome: unknown) => told.push(outcome);
    outcomeOf(first.write([put(key, { data: "late" })])).then(tell, tell);
    world.kill("n1");
    await world.advance(499);
    expect(simulation.store.stored(key.entity, key.id)).toBeUndefined();
    await world.advance(2);
    expect(simulation.store.stored(key.entity, key.id)?.data).toBe("late");
    await world.advance(2_000);
    expect(told).toEqual([]);
  });

  test("carries out what its writer was told is unknown, but not under a stamp", async () => {
    for (const isStamped of [false, true]) {
      const { world, simulation, first, second } = await stores({ delay: [3_000, 3_000] });
      const key = someKey();
      const late = outcomeOf(first.write([put(key, { data: "late" })]));
      simulation.store.network = {};
      expect(await world.until(late, 1_001)).toBe("STORE_UNAVAILABLE");
      if (isStamped) await world.until(second.write([put(key, { data: "stamp" })]), 10);
      else expect(await world.until(second.load(key), 10)).toBeUndefined();
      await world.advance(3_000);
      const kept = simulation.store.stored(key.entity, key.id);
      expect(kept?.data).toBe(isStamped ? "stamp" : "late");
      expect(kept?.version).toBe(1);
    }
  });

  test("holds the answers of a node that is paused", async () => {
    const { world, simulation, first } = await stores();
    const key = someKey();
    let outcome = "none";
    const writing = outcomeOf(first.write([put(key)])).then((what) => (outcome = what));
    world.pause("n1");
    await world.advance(500);
    expect(simulation.store.stored(key.entity, key.id)?.version).toBe(1);
    expect(outcome).toBe("none");
    world.resume("n1");
    expect(await world.until(writing, 10)).toBe("carried out");
  });

  test("can be cut off from some nodes, before and after a request has arrived", async () => {
    const { world, simulation, first, second } = await stores({ delay: [10, 10] });
    const [early, late] = [someKey(), someKey()];
    const outcomes = [outcomeOf(first.write([put(early)]))];
    await world.advance(5);
    simulation.cut("n1", "store");
    outcomes.push(outcomeOf(first.write([put(late)])));
    const codes = await world.until(Promise.all(outcomes), 2_000);
    expect(codes).toEqual(["STORE_UNAVAILABLE", "STORE_UNAVAILABLE"]);
    expect(simulation.store.stored(early.entity, early.id)?.version).toBe(1);
    expect(simulation.store.stored(late.entity, late.id)).toBeUndefined();
    expect(await world.until(outcomeOf(second.write([put(late)])), 30)).toBe("carried out");
    simulation.heal();
    expect((await world.until(first.load(late), 30))?.version).toBe(1);
  });

  test("forgets nothing when its authority does", async () => {
    const { world, simulation, first } = await stores();
    const key = someKey();
    await world.until(first.write([put(key)]), 10);
    simulation.restore([]);
    expect((await world.until(first.load(key), 10))?.version).toBe(1);
  });
});
