/** Who gets a message: by turns, by weight, by load, and by a function of one's own. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { isCatgaError } from "../../src/base/errors.ts";
import { TRIAL_PART } from "../../src/base/limits.ts";
import {
  type Balancer,
  type Candidate,
  createCustomPicker,
  createPicker,
  type Picker,
  type Strategy,
} from "../../src/mediator/balance.ts";
import type { LoadFigures } from "../../src/protocol/records.ts";
import { World } from "../../src/testing/world.ts";

const STRATEGIES: readonly Strategy[] = ["roundRobin", "random", "leastConnections", "leastLoad"];

interface Figures extends Omit<Candidate, "figures">, LoadFigures {}

/** Idle, but for what is said. */
function candidate(said: Partial<Figures>): { -readonly [F in keyof Candidate]: Candidate[F] } {
  const { node = "node", weight = 1, open = 0, answerMs = 0, ...figures } = said;
  const idle = { inFlight: 0, cpu: 0, messagesPerSecond: 0, eventLoopLagMs: 0 };
  return {
    node,
    weight,
    open,
    answerMs,
    figures: { ...idle, memoryBytes: 100_000_000, ...figures },
  };
}

function nodes(...names: readonly string[]): ReturnType<typeof candidate>[] {
  return names.map((node) => candidate({ node }));
}

function weighted(weights: readonly number[]): Candidate[] {
  return weights.map((weight, n) => candidate({ node: `n${n}`, weight }));
}

function named(picker: Picker, candidates: readonly Candidate[], count: number): string[] {
  return Array.from({ length: count }, () => picker.pick(candidates).node);
}

function counted(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

const weights = fc.array(fc.constantFrom(0.1, 0.5, 1, 1, 2, 3, 7, 100), {
  minLength: 1,
  maxLength: 12,
});

describe.each(STRATEGIES)("%s", (strategy) => {
  test("picks one of the candidates, whichever there are", () => {
    const set = fc.uniqueArray(fc.nat(9), { minLength: 1 });
    fc.assert(
      fc.property(fc.array(set, { maxLength: 30 }), fc.integer(), (sets, seed) => {
        const picker = createPicker(strategy, new World(seed));
        for (const each of sets) {
          const candidates = nodes(...each.map(String));
          for (let n = 0; n < 3; n++) expect(candidates).toContain(picker.pick(candidates));
        }
      }),
      { numRuns: 200 },
    );
  });

  test("gives nodes that are alike what their weights say", () => {
    const candidates = weighted([1, 2, 5, 0.5, 1.5]);
    const count = 40_000;
    const counts = counted(named(createPicker(strategy, new World(1)), candidates, count));
    for (const { node, weight } of candidates) {
      const share = (counts.get(node)! * 10) / count / weight;
      // Two that are drawn are not two of the same: the heavy one is held back a little.
      expect(share).toBeGreaterThan(strategy === "roundRobin" ? 0.999 : 0.75);
      expect(share).toBeLessThan(strategy === "roundRobin" ? 1.001 : 1.35);
    }
  });

  test("leaves its argument as it is", () => {
    const candidates = weighted([3, 1, 2]);
    const before = structuredClone(candidates);
    named(createPicker(strategy, new World(1)), candidates, 20);
    expect(candidates).toEqual(before);
  });
});

describe("roundRobin", () => {
  test("gives everybody a turn before anybody has another one", () => {
    const candidates = nodes("a", "b", "c", "d");
    const picks = named(createPicker("roundRobin", new World(1)), candidates, 12);
    expect(new Set(picks.slice(0, 4)).size).toBe(4);
    expect(picks.slice(4)).toEqual(picks.slice(0, 8));
  });

  test("does not begin with the same node for every caller", () => {
    const candidates = nodes("a", "b", "c", "d");
    const firsts = Array.from({ length: 400 }, (_, seed) => {
      return createPicker("roundRobin", new World(seed)).pick(candidates).node;
    });
    for (const count of counted(firsts).values()) expect(count).toBeGreaterThan(60);
    expect(counted(firsts).size).toBe(4);
  });

  test("spreads the turns of a heavy node: within any stretch, as the weights say", () => {
    fc.assert(
      fc.property(weights, fc.integer(), (list, seed) => {
        const candidates = weighted(list);
        const picks = named(createPicker("roundRobin", new World(seed)), candidates, 300);
        const [from, until] = [seed & 127, 300 - ((seed >> 8) & 127)];
        const counts = counted(picks.slice(from, until));
        const turns = candidates.map(
          ({ node, weight }) => [counts.get(node) ?? 0, weight] as const,
        );
        for (const [one, first] of turns) {
          for (const [other, second] of turns) {
            const bound = 1 / first + 1 / second + 1e-6;
            expect(Math.abs(one / first - other / second)).toBeLessThanOrEqual(bound);
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  test("takes nobody twice in a row, and forgets nobody, while others come and go", () => {
    const kept = ["k0", "k1", "k2"];
    const change = fc.record({
      others: fc.uniqueArray(fc.constantFrom("x0", "x1", "x2", "x3")),
      picks: fc.integer({ min: 1, max: 4 }),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), fc.integer(), (changes, seed) => {
        const picker = createPicker("roundRobin", new World(seed));
        const picks: string[] = [];
        for (const { others, picks: count } of changes) {
          picks.push(...named(picker, nodes(...others, ...kept), count));
        }
        for (const [n, pick] of picks.entries()) expect(pick).not.toBe(picks[n - 1]!);
        // Those that stay have a turn at least every seven, however many come in between.
        for (let n = 0; n + 7 <= picks.length; n++) {
          for (const node of kept) expect(picks.slice(n, n + 7)).toContain(node);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("does not starve a node that every other call leaves out", () => {
    const picker = createPicker("roundRobin", new World(1));
    const [all, some] = [nodes("a", "b", "c", "x"), nodes("a", "b", "c")];
    const picks = Array.from({ length: 400 }, (_, n) => picker.pick(n % 2 === 0 ? all : some).node);
    expect(counted(picks).get("x")).toBeGreaterThan(90);
  });

  test("gives a node that was away no turns to make up for", () => {
    const picker = createPicker("roundRobin", new World(1));
    named(picker, nodes("a", "b", "x"), 9);
    named(picker, nodes("a", "b"), 600);
    const back = nodes("a", "b", "x");
    expect(counted(named(picker, back, 9)).get("x")).toBe(3);
  });
});

describe("roundRobin, as nodes change", () => {
  test("does not let one that has become heavier wait as long as it used to", () => {
    const picker = createPicker("roundRobin", new World(1));
    const [before, after] = [weighted([1, 1, 0.1]), weighted([1, 1, 10])];
    while (picker.pick(before).node !== "n2");
    expect(counted(named(picker, after, 12)).get("n2")).toBeGreaterThan(8);
  });

  test("forgets one that has been gone for long: it need not be the first when it is back", () => {
    const firsts = Array.from({ length: 40 }, (_, seed) => {
      const picker = createPicker("roundRobin", new World(seed));
      named(picker, nodes("a", "b", "x"), 3);
      named(picker, nodes("a", "b"), 2_100);
      named(picker, nodes("a", "b"), 1);
      return picker.pick(nodes("a", "b", "x")).node;
    });
    expect(firsts).toContain("x");
    expect(new Set(firsts).size).toBeGreaterThan(1);
  });
});

describe("by load", () => {
  const busy: Partial<Record<Strategy, readonly Partial<Figures>[]>> = {
    leastConnections: [{ open: 3 }, { inFlight: 3 }],
    leastLoad: [
      { open: 9 },
      { inFlight: 9 },
      { cpu: 0.9 },
      { eventLoopLagMs: 80 },
      { answerMs: 40 },
      { memoryBytes: 2_000_000_000 },
      { messagesPerSecond: 5_000 },
    ],
  };
  const cases = Object.entries(busy).flatMap(([strategy, figures]) =>
    figures.map((each) => [strategy as Strategy, Object.keys(each).join(), each] as const),
  );

  test.each(cases)("%s: of two nodes the one with more %s gets little, but some", (...args) => {
    const [strategy, , figures] = args;
    const candidates = [candidate({ node: "busy", ...figures }), ...nodes("free")];
    const count = 64 / TRIAL_PART;
    const picks = counted(named(createPicker(strategy, new World(1)), candidates, count));
    expect(picks.get("busy")).toBeGreaterThan(10);
    expect(picks.get("busy")).toBeLessThan(count / 4);
  });

  test("a node twice as heavy may have twice as much under way", () => {
    const candidates = [
      candidate({ node: "heavy", weight: 2, open: 4 }),
      candidate({ node: "light", open: 4 }),
    ];
    const picks = counted(named(createPicker("leastConnections", new World(1)), candidates, 640));
    expect(picks.get("heavy")).toBeGreaterThan(560);
  });

  test.each(["leastConnections", "leastLoad"] as const)(
    "%s: a small difference makes a small preference",
    (strategy) => {
      const candidates = [
        candidate({ node: "more", inFlight: 6 }),
        candidate({ node: "less", inFlight: 5 }),
      ];
      const picks = counted(named(createPicker(strategy, new World(1)), candidates, 1_000));
      expect(picks.get("more")).toBeGreaterThan(200);
      expect(picks.get("more")).toBeLessThan(400);
    },
  );

  test("the figures of an array may change from one call to the next", () => {
    const picker = createPicker("leastConnections", new World(1));
    const candidates = nodes("a", "b");
    for (let n = 0; n < 1_000; n++) picker.pick(candidates).open++;
    const [a, b] = candidates.map(({ open }) => open);
    expect(Math.abs(a! - b!)).toBeLessThan(50);
  });
});

describe("a balancer of one's own", () => {
  const candidates = nodes("a", "b", "c");

  function refusal(balancer: Balancer): unknown {
    try {
      return createCustomPicker("orders.place", balancer).pick(candidates).node;
    } catch (error) {
      if (!isCatgaError(error, "BALANCER_FAILED")) throw error;
      return error.message;
    }
  }

  test("is given the figures of each node, and its choice counts by name", () => {
    const balancer: Balancer = (loads) => {
      expect(loads).toEqual(
        candidates.map(({ node, figures: { eventLoopLagMs, ...figures } }) => {
          expect(eventLoopLagMs).toBe(0);
          return { node, ...figures };
        }),
      );
      return { ...loads[1]! };
    };
    expect(createCustomPicker("orders.place", balancer).pick(candidates)).toBe(candidates[1]!);
  });

  test("may do to its argument what it likes", () => {
    const balancer = ((loads: Candidate[]) => loads.splice(0).at(-1)) as unknown as Balancer;
    expect(refusal(balancer)).toBe("c");
    expect(candidates.length).toBe(3);
  });

  const says = 'Cannot route "orders.place": its balancer';
  test.each([
    ["throws", () => JSON.parse("{") as unknown, /its balancer threw SyntaxError: /],
    [
      "returns a stranger",
      () => ({ node: "z" }),
      `${says} returned "z", which is none of the candidates`,
    ],
    [
      "returns nothing",
      () => undefined,
      `${says} returned something, which is none of the candidates`,
    ],
    [
      "promises",
      async () => candidates[0],
      `${says} returned something, which is none of the candidates`,
    ],
  ])("that %s fails the call", (_, balancer, message) => {
    expect(refusal(balancer as unknown as Balancer)).toMatch(message);
  });
});
