/**
 * What balancing is worth, and what a pick costs. The worth is simulated, the same on every
 * machine: a hundred callers, a hundred nodes, figures that are old by a heartbeat. × says how much
 * sooner 99 of 100 calls are answered than by turns; p50 and p99 are times of the simulation. At
 * 60 % round robin gives the slowest more than they can do, so there × grows with the number of
 * calls. "Least of all" is what happens where everybody takes the node with the least load, and not
 * one of two. Slow heartbeats, and nodes that are alike, are where old figures do harm.
 *
 * A pick is one among a hundred nodes that were candidates for the call before as well; its floor
 * is an index into the same array that goes round.
 */
import { systemRandom } from "../../src/base/random.ts";
import { type Candidate, createPicker, type Picker } from "../../src/mediator/balance.ts";
import { type Crowd, leastOfAll, play, quantile, skewed } from "../../test/mediator/crowd.ts";
import { atLeast, countFigure, rateFigure } from "../figure.ts";
import { contest, type Load } from "../measure/contest.ts";
import { effort } from "../measure/effort.ts";
import { say } from "../parent.ts";

const NODES = 100;
const CALLS = 100_000;
const STRATEGIES = ["roundRobin", "random", "leastConnections", "leastLoad"] as const;
/** Of choosing by load, over round robin, where round robin still carries what comes. */
const FACTOR_GOAL = 2;
const ALIKE: readonly number[] = Array.from({ length: NODES }, () => 5);
const BASE = { callers: 100, calls: CALLS, heartbeatMs: 200, seed: 1 };
const CROWDS: readonly (readonly [string, Crowd])[] = [
  ["unlike, 20 %", { ...BASE, load: 0.2, serviceMs: skewed(NODES) }],
  ["unlike, 60 %", { ...BASE, load: 0.6, serviceMs: skewed(NODES) }],
  ["alike, 70 %", { ...BASE, load: 0.7, serviceMs: ALIKE }],
  ["alike, 70 %, 750 ms", { ...BASE, load: 0.7, serviceMs: ALIKE, heartbeatMs: 750 }],
];

function tellWorth(title: string, crowd: Crowd): void {
  let byTurnsMs = 0;
  const tell = (strategy: string, pickerOf: Parameters<typeof play>[1]): void => {
    const played = play(crowd, pickerOf);
    const [p50Ms, p99Ms] = [quantile(played, 0.5), quantile(played, 0.99)];
    if (byTurnsMs === 0) byTurnsMs = p99Ms;
    const times = byTurnsMs / p99Ms;
    const isGoal = crowd.load === 0.2 && strategy.startsWith("least");
    const goals = isGoal && strategy !== "least of all" ? [atLeast(times, FACTOR_GOAL, "×")] : [];
    const figure = countFigure(`${title}: ${strategy}`, { unit: "×", ops: times, n: CALLS }, goals);
    say({ ...figure, p50Us: p50Ms * 1_000, p99Us: p99Ms * 1_000 });
  };
  for (const strategy of STRATEGIES) tell(strategy, (random) => createPicker(strategy, random));
  tell("least of all", leastOfAll);
}

const candidates: readonly Candidate[] = skewed(NODES).map((tookMs, n) => ({
  node: `node-${n}`,
  weight: 1,
  figures: {
    inFlight: tookMs,
    cpu: tookMs / 50,
    memoryBytes: 100_000_000 + n,
    messagesPerSecond: 1_000 / tookMs,
    eventLoopLagMs: tookMs,
  },
  open: n % 3,
  answerMs: tookMs,
}));
/** What was picked is counted, so that no compiler finds out that nobody wants it. */
let picked = 0;
let next = 0;

function picks(picker: Picker): Load {
  return async (count) => {
    for (let n = 0; n < count; n++) picked += picker.pick(candidates).answerMs;
  };
}

const rotation: Picker = {
  pick(candidates) {
    next = next + 1 === candidates.length ? 0 : next + 1;
    return candidates[next]!;
  },
};

async function tellCost(strategy: (typeof STRATEGIES)[number]): Promise<void> {
  const subject = picks(createPicker(strategy, systemRandom));
  const outcome = await contest({ subject, floor: picks(rotation) }, effort());
  say({ ...rateFigure(`a pick of 100: ${strategy}`, outcome), p50Us: null, p99Us: null });
}

for (const [title, crowd] of CROWDS) tellWorth(title, crowd);
for (const strategy of STRATEGIES) await tellCost(strategy);
if (!(picked > 0)) throw new Error("Cannot trust the picks: nothing was picked");
