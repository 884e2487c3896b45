/** Messages with a name of their own keep their promises whatever becomes of the nodes. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { type Step, type Storm, Weather } from "./storm.ts";

const node = fc.nat({ max: 5 });
const send = fc.record({
  kind: fc.constant("send" as const),
  from: node,
  count: fc.integer({ min: 1, max: 40 }),
});
const wait = fc.record({
  kind: fc.constant("wait" as const),
  ms: fc.constantFrom(1, 5, 20, 100, 500, 1_500, 6_000),
});
const join = fc.record({ kind: fc.constant("join" as const), handles: fc.boolean() });
const resume = fc.constant<Step>({ kind: "resume" });
const heal = fc.constant<Step>({ kind: "heal" });
const network = fc.record({
  kind: fc.constant("network" as const),
  network: fc.constantFrom(
    {},
    { delay: [0, 40] as const },
    { drop: 0.1, duplicate: 0.1, delay: [0, 20] as const },
  ),
});
const lateNews = fc.record({
  kind: fc.constant("authority" as const),
  network: fc.constantFrom({}, { delay: [0, 60] as const }),
});
const strike = (...kinds: readonly ("kill" | "leave" | "pause" | "cut")[]): fc.Arbitrary<Step> =>
  fc.record({ kind: fc.constantFrom(...kinds), node });

/** Storms of so many of these steps, with messages all the time. */
function storms(...steps: readonly fc.Arbitrary<Step>[]): fc.Arbitrary<Storm> {
  const step = fc.oneof(
    { arbitrary: send, weight: 2 * steps.length },
    { arbitrary: wait, weight: steps.length },
    ...steps.map((arbitrary) => ({ arbitrary, weight: 1 })),
  );
  return fc.record({
    seed: fc.nat(),
    handles: fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }),
    steps: fc.array(step, { minLength: 5, maxLength: 25 }),
  });
}

const WEATHER = [
  ["leave and join", [strike("leave"), join, lateNews, network]],
  ["are killed", [strike("kill"), join]],
  ["are stopped and go on", [strike("pause"), resume]],
  ["are cut off from each other", [strike("cut"), heal]],
  [
    "suffer all of it over a bad network",
    [strike("kill", "leave", "pause"), resume, join, network],
  ],
] as const;

describe("messages find a handler, and no command runs twice, where nodes", () => {
  test.each(WEATHER.map(([what, steps]) => [what, steps] as const))(
    "%s",
    async (_, steps) => {
      await fc.assert(
        fc.asyncProperty(storms(...steps), async (storm) => {
          expect(await Weather.run(storm)).toEqual([]);
        }),
        { numRuns: Number(process.env["CATGA_STORMS"] ?? 15), endOnFailure: true },
      );
    },
    60_000,
  );
});
