/** A fixed share of what the simulator tries; `npm run sim` runs any amount of it. */
import { describe, expect, test } from "bun:test";
import { runDirected, SCENE_NAMES } from "./directed.ts";
import { Explorer, TRIED } from "./explore.ts";
import { misplacedRules, ruleOf, runWithout } from "./mutations.ts";
import type { Kind } from "./plan.ts";
import { runSchedule } from "./schedule.ts";
import { minimal } from "./shrink.ts";
import { type Exhausted, exhaustAll } from "./small.ts";

const SCHEDULES = { planned: 300, chaos: 300, rollback: 100, directed: 30 } as const;
const DEPTH = 3;

test("every rule of the protocol stands where it would be taken out", () => {
  expect(misplacedRules()).toEqual([]);
});

test.each(["planned", "chaos", "rollback"] as const)(
  "%s schedules violate nothing",
  async (kind: Kind) => {
    for (let seed = 1; seed <= SCHEDULES[kind]; seed++) {
      const { violations, sent, answered } = await runSchedule(kind, seed);
      expect({ seed, violations }).toEqual({ seed, violations: [] });
      expect(sent).toBeGreaterThan(0);
      if (kind === "planned") expect({ seed, answered }).toEqual({ seed, answered: sent });
    }
  },
  60_000,
);

test.each(SCENE_NAMES)(
  "the directed schedule “%s” violates nothing",
  async (name) => {
    for (let seed = 1; seed <= SCHEDULES.directed; seed++) {
      expect({ seed, violations: await runDirected(name, seed) }).toEqual({ seed, violations: [] });
    }
  },
  60_000,
);

describe("a small cluster", () => {
  test(`keeps the rules in every order of ${DEPTH} events, and with 1 change in 16`, async () => {
    const tried: Exhausted[] = [];
    for await (const each of exhaustAll({ depth: DEPTH })) tried.push(each);
    for await (const each of exhaustAll({ depth: 16, changesMax: 1 })) tried.push(each);
    expect(tried.flatMap(({ violation }) => violation ?? [])).toEqual([]);
    expect(tried.reduce((sum, { orders }) => sum + orders, 0)).toBeGreaterThan(1_000);
  }, 60_000);

  test("notices when messages that wait do not travel with their entity", async () => {
    const rule = ruleOf("messages that wait travel with their entity");
    const found = await runWithout(rule, ["--exhaust", "--depth", `${DEPTH}`]);
    expect(found?.violation).toContain("CALL_TIMEOUT");
  }, 60_000);
});

/** Runs two events after each other at each of two places in every order that `explorer` tries. */
function ordersOf(explorer: Explorer, places: readonly [string, string]): string[] {
  const orders = new Set<string>();
  do {
    const waiting = ["a1 a2", "b1 b2"].map((events) => events.split(" "));
    let order = "";
    try {
      while (waiting.flat().length > 0) {
        const options = waiting.flatMap(([label], chain) =>
          label === undefined ? [] : { name: chain * 10 + Number(label[1]), label, isFault: false },
        );
        const { name, label } = explorer.choose(options);
        const chain = Math.floor(name / 10);
        waiting[chain]!.shift();
        order += `${label} `;
        const none = { looksAround: false, tookTime: false, isFault: false };
        explorer.touched({ place: places[chain]!, ...none });
      }
      orders.add(order.trim());
    } catch (error) {
      expect(error).toBe(TRIED);
    }
  } while (explorer.next());
  return [...orders];
}

describe("Explorer", () => {
  test("tries every order of what touches the same place, and one of what does not", () => {
    expect(ordersOf(new Explorer(), ["n1", "n1"])).toHaveLength(6);
    expect(ordersOf(new Explorer(), ["n1", "n2"])).toEqual(["a1 a2 b1 b2"]);
  });

  test("tries what has few changes only, when it is told how many", () => {
    const orders = ["a1 a2 b1 b2", "a1 b1 a2 b2", "b1 a1 a2 b2"];
    expect(ordersOf(new Explorer(1), ["n1", "n2"]).toSorted()).toEqual(orders);
    expect(ordersOf(new Explorer(0), ["n1", "n2"])).toEqual(["a1 a2 b1 b2"]);
  });
});

describe("a schedule that fails", () => {
  test("is shrunk to fewer faults, which fail when they are replayed", async () => {
    const rule = ruleOf("L3 the lease is checked before each turn");
    const schedule = ["--chaos", "1", "--seed", "16"];
    const {
      only = [],
      entities = [],
      rounds = 0,
    } = (await runWithout(rule, [...schedule, "--shrink"]))!;
    expect(only.length).toBeGreaterThan(0);
    // The whole schedule has a fault in each of its fourteen rounds.
    expect(only.length).toBeLessThan(7);
    const part = ["--only", only.join(), "--entities", entities.join(), "--rounds", `${rounds}`];
    expect((await runWithout(rule, [...schedule, ...part]))?.violation).toContain("may not act");
  }, 60_000);

  test("is shrunk to a part of which nothing can be left out", async () => {
    const all = Array.from({ length: 20 }, (_, n) => n);
    const found = await minimal(all, async (part) => part.includes(3) && part.includes(11));
    expect(found).toEqual([3, 11]);
    expect(await minimal(all, async () => true)).toEqual([]);
    expect(await minimal([5], async ([one]) => one === 5)).toEqual([5]);
  });
});
