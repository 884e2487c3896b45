/**
 * What it costs that a node looks for reminders now and then: `state-scans.ts <nats|redis>`. A node
 * at rest that owns all 1,024 shards and hosts three entity types that are kept, beside one that
 * hosts none, each with a broker of its own, for as long as one look at all shards takes to come
 * round. What they ask the broker differs by the looks, all else is the same.
 */
import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";
import { REMINDER_SCAN_MS } from "../../src/base/limits.ts";
import { runtimeOf } from "../../src/base/runtime.ts";
import { Broker } from "../broker.ts";
import { startHelper } from "../child.ts";
import { atMost, type Figure } from "../figure.ts";
import type { BrokerKind } from "../processes/broker-kind.ts";
import { newClusterName } from "../processes/cluster-name.ts";
import { say } from "../parent.ts";

const TYPES = 3;
const REST_MS = 3_000;
const GOAL_REQUESTS = 10;
const GOAL_CPU_MS = 5;

interface Spent {
  readonly requests: number;
  readonly cpuMs: number;
}

const kind = process.argv[2] as BrokerKind;
const [ours, floor] = await Promise.all([spentBy(TYPES), spentBy(0)]);
report("asked of the broker by a node at rest", "requests", {
  ops: ours.requests,
  floor: floor.requests,
  bound: GOAL_REQUESTS,
});
report("a node at rest that keeps, per second", "ms", {
  ops: ours.cpuMs,
  floor: floor.cpuMs,
  bound: GOAL_CPU_MS,
});

/** What a node spends per second. */
async function spentBy(types: number): Promise<Spent> {
  await using broker = await Broker.start(kind);
  await using node = startHelper(
    "processes/idle-kept.ts",
    broker.url,
    newClusterName(),
    `${types}`,
  );
  await node.next();
  await wait(REST_MS);
  const look = async (): Promise<{ messages: number; cpuMs: number }> => {
    node.tell("look");
    const { cpuMs } = (await node.next()) as { readonly cpuMs: number };
    return { messages: (await broker.counts()).messages, cpuMs };
  };
  const before = await look();
  await wait(REMINDER_SCAN_MS);
  const after = await look();
  const seconds = REMINDER_SCAN_MS / 1_000;
  return {
    // Each request has an answer.
    requests: (after.messages - before.messages) / 2 / seconds,
    cpuMs: (after.cpuMs - before.cpuMs) / seconds,
  };
}

/** The goal is of what the looks add. */
function report(
  what: string,
  unit: "requests" | "ms",
  { ops, floor, bound }: { readonly ops: number; readonly floor: number; readonly bound: number },
): void {
  const { name, version } = runtimeOf();
  say({
    name: `${kind} ${what}`,
    runtime: `${name} ${version}`,
    unit,
    ops,
    p50Us: null,
    p99Us: null,
    n: 1,
    floor,
    ratio: ops / floor,
    goals: [atMost(ops - floor, bound, `${unit} more`)],
  } satisfies Figure);
}
