/** Balancing pays: a hundred nodes of unlike speed, a hundred callers, figures that are old. */
import { describe, expect, test } from "bun:test";
import type { Strategy } from "../../src/mediator/balance.ts";
import { createPicker } from "../../src/mediator/balance.ts";
import { type Crowd, leastOfAll, play, quantile, skewed } from "./crowd.ts";

/** A fifth of what the nodes can do together: what round robin still carries. */
const CROWD: Crowd = {
  serviceMs: skewed(100),
  callers: 100,
  load: 0.2,
  calls: 30_000,
  heartbeatMs: 200,
  seed: 1,
};

function p99(strategy: Strategy, crowd: Crowd): number {
  return quantile(
    play(crowd, (random) => createPicker(strategy, random)),
    0.99,
  );
}

describe.each([1, 2, 3])("among nodes of unlike speed, seed %d", (seed) => {
  const crowd = { ...CROWD, seed };
  const roundRobin = p99("roundRobin", crowd);

  test("least connections and least load answer sooner than round robin at p99", () => {
    expect(p99("leastConnections", crowd)).toBeLessThan(roundRobin / 1.5);
    expect(p99("leastLoad", crowd)).toBeLessThan(roundRobin / 2);
  });

  test("they carry what round robin cannot", () => {
    const heavy = { ...crowd, load: 0.6 };
    const lost = p99("roundRobin", heavy);
    expect(p99("leastConnections", heavy)).toBeLessThan(lost / 5);
    expect(p99("leastLoad", heavy)).toBeLessThan(lost / 5);
  });

  test("all that take the best one by old figures are worse than those that choose of two", () => {
    const herd = quantile(play(crowd, leastOfAll), 0.99);
    expect(herd).toBeGreaterThan(3 * p99("leastLoad", crowd));
    expect(herd).toBeGreaterThan(roundRobin);
  });

  test("a slow node gets less, but some", () => {
    const { counts } = play(crowd, (random) => createPicker("leastLoad", random));
    const fair = crowd.calls / counts.length;
    for (const [n, count] of counts.entries()) {
      if (crowd.serviceMs[n] !== Math.max(...crowd.serviceMs)) continue;
      expect(count).toBeLessThan(0.7 * fair);
      expect(count).toBeGreaterThan(fair / 50);
    }
  });
});

describe("among nodes of one speed", () => {
  const even = { ...CROWD, serviceMs: Array.from({ length: 100 }, () => 5), load: 0.7 };

  test("going by old figures costs little at p99 beside going by lot", () => {
    const byLot = p99("random", even);
    expect(p99("leastConnections", even)).toBeLessThan(1.4 * byLot);
    expect(p99("leastLoad", even)).toBeLessThan(1.2 * byLot);
  });

  test("a single caller, who knows what it has open, does better by that than by turns", () => {
    const alone = { ...even, callers: 1 };
    const byTurns = p99("roundRobin", alone);
    expect(p99("leastConnections", alone)).toBeLessThan(byTurns);
    expect(p99("leastLoad", alone)).toBeLessThan(byTurns);
  });

  test("the same seed is the same run", () => {
    expect(p99("leastLoad", even)).toBe(p99("leastLoad", even));
  });
});
