/** So many messages a second for each entity, in simulated time. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { type CatgaError, command, defineEntity, isCatgaError } from "../../src/index.ts";
import { RateLimit } from "../../src/runtime/rate-limit.ts";
import { TestCluster } from "../../src/testing/index.ts";

const Door = defineEntity("door", {
  messages: {
    knock: command<void, number>(),
    echo: command<{ times: number }>(),
  },
  state: () => ({ count: 0 }),
  rateLimit: { perSecond: 10, burst: 5 },
  handlers: {
    knock: ({ state }) => ++state.count,
    echo(ctx, { times }) {
      for (let n = 0; n < times; n++) ctx.after(10, { type: "knock" });
    },
  },
});
const entities = [Door] as const;
type Doors = TestCluster<typeof entities>;

const start = (nodes: number): Promise<Doors> =>
  TestCluster.start({ entities, nodes, shardCount: 64 });

/** How many of `times` messages to `id` at once were taken; the others say that none has run. */
async function knock(cluster: Doors, from: string, [id, times]: [string, number]): Promise<number> {
  const ref = cluster.node(from).entity(Door, id);
  const calls = Array.from({ length: times }, () =>
    ref.send({ type: "knock" }).then(
      () => "taken",
      (error: unknown) => error,
    ),
  );
  const outcomes = await cluster.run(Promise.all(calls));
  for (const error of outcomes.filter((outcome) => outcome !== "taken")) {
    expect(isCatgaError(error, "OVERLOADED")).toBe(true);
    expect((error as CatgaError).executed).toBe("no");
    expect((error as CatgaError).details).toEqual({
      what: `messages for "door/${id}" in a second`,
      limit: 10,
    });
  }
  return outcomes.filter((outcome) => outcome === "taken").length;
}

const limited = (rateLimit: { perSecond: number; burst?: number }) => () =>
  defineEntity("x", { messages: {}, state: () => 0, handlers: {}, rateLimit });

describe("a rate limit", () => {
  test.each(["n1", "n2"])("is each entity's own, for senders on all nodes (%s)", async (from) => {
    await using cluster = await start(2);
    await cluster.advance("1s");
    for (const id of ["a", "b", "c", "d"]) {
      expect(await knock(cluster, from, [id, 12])).toBe(5);
      await cluster.advance("300ms");
      expect(await knock(cluster, from, [id, 12])).toBe(3);
      await cluster.advance("10s");
      expect(await knock(cluster, from, [id, 12])).toBe(5);
    }
  });

  test("refuses a message that nobody waits for, too", async () => {
    await using cluster = await start(2);
    await cluster.advance("1s");
    for (const id of ["a", "b", "c", "d"]) {
      const ref = cluster.node("n1").entity(Door, id);
      const tells = Array.from({ length: 7 }, () =>
        ref.tell({ type: "knock" }).then(
          () => true,
          () => false,
        ),
      );
      const taken = await cluster.run(Promise.all(tells));
      expect(taken.filter(Boolean).length).toBe(5);
    }
  });

  test("is no limit for what an entity sends to itself", async () => {
    await using cluster = await start(1);
    const ref = cluster.node("n1").entity(Door, "a");
    await cluster.run(ref.send({ type: "echo", times: 20 }));
    await cluster.advance("1s");
    expect(await cluster.run(ref.send({ type: "knock" }))).toBe(21);
  });

  test("lets a call that tries again come through", async () => {
    await using cluster = await start(1);
    const ref = cluster.node("n1").entity(Door, "a");
    const calls = Array.from({ length: 12 }, () => ref.send({ type: "knock" }, { retries: 20 }));
    const counts = await cluster.run(Promise.all(calls));
    expect(counts.sort((a, b) => a - b)).toEqual(counts.map((_, n) => n + 1));
  });

  test("makes sense, or is refused", () => {
    expect(limited({ perSecond: 0.1 })).not.toThrow();
    for (const perSecond of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(limited({ perSecond })).toThrow(RangeError);
    }
    for (const burst of [0, 1.5, -1, Number.NaN]) {
      expect(limited({ perSecond: 1, burst })).toThrow(RangeError);
    }
  });

  test("forgets those alone that have rested", () => {
    const limit = new RateLimit({ perSecond: 1, burst: 2 });
    for (const _ of "ab") expect(limit.take("busy", 0)).toBe(true);
    for (let n = 0; n < 5_000; n++) expect(limit.take(`other-${n}`, 0)).toBe(true);
    expect(limit.take("busy", 0)).toBe(false);
    expect(limit.take("other-7", 0)).toBe(true);
    expect(limit.take("other-7", 0)).toBe(false);
  });

  test("takes in no time more than its burst and its rate", () => {
    const rate = fc.record({
      perSecond: fc.double({ min: 0.1, max: 10_000, noNaN: true }),
      burst: fc.integer({ min: 1, max: 50 }),
    });
    const gaps = fc.array(fc.double({ min: 0, max: 300, noNaN: true }), { maxLength: 200 });
    fc.assert(
      fc.property(rate, gaps, ({ perSecond, burst }, gapsMs) => {
        const limit = new RateLimit({ perSecond, burst });
        const taken: number[] = [];
        let nowMs = 1e9;
        for (const gapMs of gapsMs) {
          nowMs += gapMs;
          if (limit.take("a", nowMs)) taken.push(nowMs);
        }
        for (const [at, fromMs] of taken.entries()) {
          for (const [count, untilMs] of taken.slice(at).entries()) {
            const allowed = burst + ((untilMs - fromMs) / 1_000) * perSecond;
            expect(count + 1).toBeLessThanOrEqual(allowed + 0.51);
          }
        }
        // Who has rested may send a burst.
        nowMs += (burst / perSecond) * 1_000 + 1;
        for (let n = 0; n < burst; n++) expect(limit.take("a", nowMs)).toBe(true);
        expect(limit.take("a", nowMs)).toBe(false);
      }),
    );
  });
});
