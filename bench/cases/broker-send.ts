/**
 * Messages between two processes over a broker: `broker-send.ts <nats|redis>`. The owner serves raw
 * frames and Moleculer over the same broker too, so all of them run between the same two processes,
 * in turns.
 *
 * 256 in flight over 1,000 entities, about 100 bytes of payload each way; then one call after the
 * other, where the figure is its duration; then half of what the first part could do, in an open
 * loop, where the figure is how long the slowest hundredth takes.
 */
import process from "node:process";
import { runtimeOf } from "../../src/base/runtime.ts";
import { Cluster } from "../../src/index.ts";
import { Broker } from "../broker.ts";
import { startHelper } from "../child.ts";
import { atLeast, atMost, type Figure } from "../figure.ts";
import { MoleculerCaller } from "../floors/moleculer.ts";
import { BURSTS, openWire, RawFramesCaller } from "../floors/raw-broker.ts";
import { compete, contest, type Contestant, outcomeOf } from "../measure/contest.ts";
import { effort } from "../measure/effort.ts";
import { inFlight, oneByOne } from "../measure/in-flight.ts";
import { openLoop } from "../measure/open-loop.ts";
import { median, percentile } from "../measure/statistics.ts";
import type { BrokerKind } from "../processes/broker-kind.ts";
import { newClusterName } from "../processes/cluster-name.ts";
import { EchoContract, payload } from "../processes/echo.ts";
import { say } from "../parent.ts";

const ENTITIES = 1_000;
const IN_FLIGHT = 256;
const FLOOR_GOAL = 0.7;
const MOLECULER_GOALS: { readonly [K in BrokerKind]: number } = { nats: 4, redis: 5 };
const SINGLE_GOAL = 1.5;
const HALF_LOAD_GOAL_US = 5_000;
/** Of the open loop: seconds, for a hundredth of them must be many calls. */
const HALF_LOAD_ROUNDS = 5;
const HALF_LOAD_PART = 3;

type Call = (n: number) => Promise<unknown>;

const kind = process.argv[2] as BrokerKind;
const runtime = `${runtimeOf().name} ${runtimeOf().version}`;
const whole = effort();

await using broker = await Broker.start(kind);
const { url } = broker;
const name = newClusterName();
await using owner = startHelper("processes/broker-owner.ts", url, name);
await owner.next();
await using cluster = await Cluster.start({ transport: url, name, heartbeat: "normal" });
const wire = await openWire(url);
const moleculer = await MoleculerCaller.connect(url);

const ids = Array.from({ length: ENTITIES }, (_, n) => `echo-${n}`);
const call: Call = (n) => cluster.entity(EchoContract, ids[n % ENTITIES]!).send(payload(n));
const moleculerCall: Call = (n) => moleculer.call(payload(n));
const rawCalls: Call[] = [];
for (const burst of BURSTS) {
  const raw = await RawFramesCaller.connect(wire, burst);
  rawCalls.push((n) => raw.call(payload(n)));
}

const { most, raw } = await many();
await one(raw);
await half(most / 2, raw);

await moleculer.close();
await wire.close();

/** Says how many messages go through; how many those were, and the faster of the raw floors. */
async function many(): Promise<{ readonly most: number; readonly raw: Call }> {
  const loads = [call, moleculerCall, ...rawCalls].map((each) => inFlight(IN_FLIGHT, each));
  const [subject, other, ...floors] = await compete(loads, whole);
  const rates = floors.map((floor) => floor.sum().opsPerSecond);
  const best = rates.indexOf(Math.max(...rates));
  const beside = (floor: Contestant, what: string, goal: number): number => {
    const outcome = outcomeOf(subject!, floor);
    const { opsPerSecond: ops, p50Us, p99Us } = outcome.subject;
    const { n, ratio } = outcome;
    const goals = [atLeast(ratio, goal, `× ${what}`)];
    const figure = { runtime, unit: "/s", ops, p50Us, p99Us, n, ratio, goals } as const;
    const title = `${kind} send, ${IN_FLIGHT}`;
    const reference = outcome.floor.opsPerSecond;
    say({ ...figure, name: `${title}, ÷ ${what}`, floor: reference } satisfies Figure);
    return ops;
  };
  beside(floors[best]!, `raw per ${BURSTS[best]}`, FLOOR_GOAL);
  const most = beside(other!, "Moleculer", MOLECULER_GOALS[kind]);
  return { most, raw: rawCalls[best]! };
}

/** Says how long one call takes when there is no other. */
async function one(rawCall: Call): Promise<void> {
  const outcome = await contest({ subject: oneByOne(call), floor: oneByOne(rawCall) }, whole);
  const { subject, floor, n } = outcome;
  const sides = [
    { what: "p50", ops: subject.p50Us, floor: floor.p50Us, ratio: outcome.ratioP50 },
    { what: "p99", ops: subject.p99Us, floor: floor.p99Us, ratio: outcome.ratioP99 },
  ];
  for (const { what, ...figures } of sides) {
    const { p50Us, p99Us } = subject;
    const goals = [atMost(figures.ratio, SINGLE_GOAL, "× a raw request")];
    const title = `${kind} send, 1 in flight, ${what}`;
    say({ ...figures, name: title, runtime, unit: "µs", p50Us, p99Us, n, goals } satisfies Figure);
  }
}

/** Says how slow the slowest hundredth is at `perSecond`, beside raw frames at the same load. */
async function half(perSecond: number, rawCall: Call): Promise<void> {
  const forMs = whole.roundMs * HALF_LOAD_PART;
  const rounds = [call, rawCall].map((each) => ({
    each,
    p50s: [] as number[],
    p99s: [] as number[],
  }));
  for (let round = 0; round <= HALF_LOAD_ROUNDS; round++) {
    for (const { each, p50s, p99s } of rounds) {
      const latenciesMs = Array.from(await openLoop({ perSecond, forMs }, each));
      // The first round finds its pace.
      if (round === 0) continue;
      p50s.push(percentile(latenciesMs, 0.5) * 1_000);
      p99s.push(percentile(latenciesMs, 0.99) * 1_000);
    }
  }
  const [subject, floor] = rounds.map(({ p50s, p99s }) => [median(p50s), median(p99s)]);
  const [p50Us, p99Us] = [subject![0]!, subject![1]!];
  say({
    name: `${kind} send, ${Math.round(perSecond / 1_000)},000/s (half), p99`,
    runtime,
    unit: "µs",
    ops: p99Us,
    p50Us,
    p99Us,
    n: Math.round((perSecond * forMs * HALF_LOAD_ROUNDS) / 1_000),
    floor: floor![1]!,
    ratio: median(rounds[0]!.p99s.map((value, i) => value / rounds[1]!.p99s[i]!)),
    goals: [atMost(p99Us, HALF_LOAD_GOAL_US, "µs")],
  } satisfies Figure);
}
