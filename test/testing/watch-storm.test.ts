/** Watches keep their promises whatever becomes of the nodes; reproduced by what is printed. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { judge, type Step, type Weather } from "./watch-weather.ts";

const at = fc.nat({ max: 8 });
const one = (kind: "join" | "sleep" | "heal" | "wake"): fc.Arbitrary<Step> => fc.constant({ kind });
const some = (
  ...kinds: readonly ("watch" | "end" | "resume" | "leave" | "kill" | "pause" | "cut")[]
): fc.Arbitrary<Step> => fc.record({ kind: fc.constantFrom(...kinds), at }) as fc.Arbitrary<Step>;
const say = fc.record({
  kind: fc.constant("say" as const),
  count: fc.integer({ min: 1, max: 20 }),
});
const network = fc.record({
  kind: fc.constant("network" as const),
  network: fc.constantFrom({}, { delay: [0, 40] as const }),
});
const lossy = fc.record({
  kind: fc.constant("network" as const),
  network: fc.constantFrom({}, { drop: 0.1, duplicate: 0.1, delay: [0, 20] as const }),
});

/** Weathers of these steps, while somebody speaks and others listen. */
function weathers(
  shortMs: boolean,
  ...steps: readonly fc.Arbitrary<Step>[]
): fc.Arbitrary<Weather> {
  const wait = fc.record({
    kind: fc.constant("wait" as const),
    ms: shortMs ? fc.constantFrom(1, 5, 20, 100) : fc.constantFrom(1, 20, 100, 500, 3_000, 8_000),
  });
  const step = fc.oneof(
    { arbitrary: say, weight: 2 * steps.length },
    { arbitrary: wait, weight: steps.length },
    { arbitrary: some("watch", "end", "resume"), weight: steps.length },
    ...steps.map((arbitrary) => ({ arbitrary, weight: 1 })),
  );
  const first: readonly Step[] = [0, 1, 2].map((node) => ({ kind: "watch", at: node }));
  return fc.record({
    seed: fc.nat(),
    steps: fc
      .array(step, { minLength: 8, maxLength: 30 })
      .map((more) => [...first, { kind: "wait", ms: 100 }, ...more] as readonly Step[]),
  });
}

const PLANNED = [some("leave"), one("join"), one("sleep")];
const WEATHER: readonly (readonly [string, fc.Arbitrary<Weather>])[] = [
  ["leave and join", weathers(true, ...PLANNED, network)],
  ["leave and join over a bad network", weathers(false, ...PLANNED, lossy)],
  ["are killed", weathers(false, some("kill"), one("join"), one("sleep"))],
  ["are stopped and go on", weathers(false, some("pause"), one("wake"), one("join"))],
  ["are cut off from each other", weathers(false, some("cut"), one("heal"))],
  [
    "suffer all of it over a bad network",
    weathers(false, some("kill", "leave", "pause"), one("wake"), one("join"), lossy),
  ],
];

describe("a watch is given each push once, or told that it has missed some, where nodes", () => {
  test.each(WEATHER)(
    "%s",
    async (_, weather) => {
      const runs = { numRuns: Number(process.env["CATGA_STORMS"] ?? 15), endOnFailure: true };
      await fc.assert(
        fc.asyncProperty(weather, async (run) => expect(await judge(run)).toEqual([])),
        runs,
      );
    },
    60_000,
  );
});
