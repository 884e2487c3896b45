/** A fixed share of the simulator's schedules; `npm run sim` runs any number of them. */
import { expect, test } from "bun:test";
import type { Kind } from "./plan.ts";
import { runSchedule } from "./schedule.ts";

const SCHEDULES = 300;

test.each(["planned", "chaos"] as const)(
  `${SCHEDULES} %s schedules violate nothing`,
  async (kind: Kind) => {
    for (let seed = 1; seed <= SCHEDULES; seed++) {
      const { violations, sent, answered } = await runSchedule(kind, seed);
      expect({ seed, violations }).toEqual({ seed, violations: [] });
      expect(sent).toBeGreaterThan(0);
      if (kind === "planned") expect({ seed, answered }).toEqual({ seed, answered: sent });
    }
  },
  60_000,
);
