/** A fixed share of the simulator's schedules; `npm run sim` runs any number of them. */
import { expect, test } from "bun:test";
import { runDirected, SCENE_NAMES } from "./directed.ts";
import { type Kind, runSchedule } from "./schedule.ts";

const SCHEDULES = { planned: 300, chaos: 300, rollback: 100, directed: 50 } as const;

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
