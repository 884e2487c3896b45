/**
 * How late reminders are: `state-reminders.ts <sqlite|nats|redis> [--full]`. 10,000 entities, each
 * with a reminder, leave memory, and are due within 6 seconds; with `--full` 100,000 within a
 * minute. What counts is when the turn of a reminder begins, by the clock it was set by. All must
 * come, each once.
 *
 * The floor is a timer of the runtime for each of as many times, in the same process afterwards.
 */
import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";
import { runtimeOf } from "../../src/base/runtime.ts";
import { command, defineEntity } from "../../src/index.ts";
import { atMost, type Figure } from "../figure.ts";
import type { StoreKind } from "../floors/raw-store.ts";
import { inFlight } from "../measure/in-flight.ts";
import { percentile } from "../measure/statistics.ts";
import { say } from "../parent.ts";
import { StorePlace } from "../store-place.ts";

const IN_FLIGHT = 256;
const GOAL_MS = 2_000;
const isFull = process.argv.includes("--full");
const [count, windowMs] = isFull ? [100_000, 60_000] : [10_000, 6_000];
/** Those that tell how long it takes to set all. */
const FIRST = 1_000;
/** Others share the machine. */
const SLOWER = 2;
const LOST_MS = 60_000;

const lateMs: number[] = [];
const Alarmed = defineEntity("alarmed", {
  messages: { set: command<{ dueMs: number }>(), ring: command<{ dueMs: number }>() },
  persistence: "write-through",
  state: () => ({ rung: 0 }),
  handlers: {
    async set(context, { dueMs }) {
      await context.remind("ring", { in: dueMs - Date.now() }, { type: "ring", dueMs });
      context.passivate();
    },
    ring({ state }, { dueMs }) {
      lateMs.push(Date.now() - dueMs);
      if (++state.rung > 1) throw new Error("it rings again");
    },
  },
});

const kind = process.argv[2] as StoreKind;
await using place = await StorePlace.open(kind);
await using cluster = await place.start(Alarmed);

const set = (id: string, dueMs: number): Promise<unknown> =>
  cluster.entity(Alarmed, id).send({ type: "set", dueMs });
const beganMs = performance.now();
await inFlight(IN_FLIGHT, (n) => set(`far-${n}`, Date.now() + 3_600_000))(FIRST, []);
const takesMs = ((performance.now() - beganMs) / FIRST) * count * SLOWER;
const firstMs = Date.now() + Math.ceil(takesMs) + windowMs / 6;
const dueMs = (n: number): number => firstMs + Math.floor((n / count) * windowMs);
await inFlight(IN_FLIGHT, (n) => set(`near-${n}`, dueMs(n)))(count, []);
if (Date.now() > firstMs) throw new Error("Cannot measure: the first are due before all are set");

const lostMs = dueMs(count) + LOST_MS;
while (lateMs.length < count && Date.now() < lostMs) await wait(100);
const ours = lateMs.splice(0);
if (ours.length !== count) throw new Error(`Cannot trust it: ${ours.length} of ${count} came`);
await timers();

const { name, version } = runtimeOf();
for (const [what, part] of [
  ["median", 0.5],
  ["p99", 0.99],
] as const) {
  const [ops, floor] = [percentile(ours, part), Math.max(1, percentile(lateMs, part))];
  say({
    name: `${kind} reminders, ${count / 1_000},000 in ${windowMs / 1_000} s, late by ${what}`,
    runtime: `${name} ${version}`,
    unit: "ms",
    ops,
    p50Us: percentile(ours, 0.5) * 1_000,
    p99Us: percentile(ours, 0.99) * 1_000,
    n: count,
    floor,
    ratio: ops / floor,
    goals: what === "median" ? [atMost(ops, GOAL_MS, "ms")] : [],
  } satisfies Figure);
}

/** As many timers in a tenth of the time, which is no more than a runtime can do. */
async function timers(): Promise<void> {
  const nowMs = Date.now();
  const all = Array.from({ length: count }, async (_, n) => {
    const at = nowMs + Math.floor((n / count) * (windowMs / 10));
    await wait(at - nowMs);
    lateMs.push(Date.now() - at);
  });
  await Promise.all(all);
}
