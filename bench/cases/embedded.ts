/**
 * Messages between two processes of a cluster without a broker. Three processes: the first one is
 * the hub and has no other part, the second hosts the entities, this one calls. The owner serves
 * the raw floor too, so both floors and subjects run between the same two processes, in turns.
 *
 * 256 in flight over 1,000 entities, about 100 bytes of payload each way; then one call after the
 * other, where the figure is its duration.
 */
import { runtimeOf } from "../../src/base/runtime.ts";
import { Cluster } from "../../src/index.ts";
import { startHelper } from "../child.ts";
import { atLeast, atMost, type Figure } from "../figure.ts";
import { RawCaller } from "../floors/raw-tcp.ts";
import { contest } from "../measure/contest.ts";
import { effort } from "../measure/effort.ts";
import { inFlight, oneByOne } from "../measure/in-flight.ts";
import { newClusterName, useOwnSecretFolder } from "../processes/cluster-name.ts";
import { EchoContract, payload } from "../processes/echo.ts";
import { say } from "../parent.ts";

const ENTITIES = 1_000;
const IN_FLIGHT = 256;
/** Rounds of one call at a time take this share of the others' time: they have few operations. */
const SINGLE_SHARE = 0.5;

useOwnSecretFolder();
const name = newClusterName();
await using hub = startHelper("processes/member.ts", name, "hub");
await hub.next();
await using owner = startHelper("processes/member.ts", name, "floor");
const { port } = (await owner.next()) as { readonly port: number };

const ids = Array.from({ length: ENTITIES }, (_, n) => `echo-${n}`);
const runtime = `${runtimeOf().name} ${runtimeOf().version}`;

await using cluster = await Cluster.start({ name });
const raw = await RawCaller.connect(port);

const call = (n: number): Promise<unknown> =>
  cluster.entity(EchoContract, ids[n % ENTITIES]!).send(payload(n));
const callRaw = (n: number): Promise<unknown> => raw.call(payload(n));

const whole = effort();
const many = await contest(
  { subject: inFlight(IN_FLIGHT, call), floor: inFlight(IN_FLIGHT, callRaw) },
  whole,
);
say({
  name: "embedded send, 256 in flight",
  runtime,
  unit: "/s",
  ops: many.subject.opsPerSecond,
  p50Us: many.subject.p50Us,
  p99Us: many.subject.p99Us,
  n: many.n,
  floor: many.floor.opsPerSecond,
  ratio: many.ratio,
  goals: [atLeast(many.ratio, 0.7, "× floor")],
} satisfies Figure);

const one = await contest(
  { subject: oneByOne(call), floor: oneByOne(callRaw) },
  { ...whole, warmUpMs: whole.warmUpMs * SINGLE_SHARE },
);
const latency = { runtime, unit: "µs", n: one.n } as const;
const { p50Us, p99Us } = one.subject;
say({
  ...latency,
  name: "embedded send, 1 in flight, p50",
  ops: p50Us,
  p50Us,
  p99Us,
  floor: one.floor.p50Us,
  ratio: one.ratioP50,
  goals: [atMost(one.ratioP50, 2, "× floor")],
} satisfies Figure);
say({
  ...latency,
  name: "embedded send, 1 in flight, p99",
  ops: p99Us,
  p50Us,
  p99Us,
  floor: one.floor.p99Us,
  ratio: one.ratioP99,
  goals: [atMost(one.ratioP99, 2, "× floor")],
} satisfies Figure);

raw.close();
