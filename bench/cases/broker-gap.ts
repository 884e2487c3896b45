/**
 * For how long callers wait when something dies: `broker-gap.ts <nats|redis>`. A node that only
 * calls sends to 64 entities on two others, each entity by a loop of its own, with `fast`
 * heartbeats; a gap is the time from one answer of an entity to its next one. First one of the two
 * owners is killed (SIGKILL), and another one takes its place for the next time; then the broker is
 * killed and started again with its data. The figure is the longest gap of all entities, p50 the
 * median of all rounds; beside a broker's stands for how long nobody could reach it.
 */
import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";
import { runtimeOf } from "../../src/base/runtime.ts";
import { Cluster, isCatgaError } from "../../src/index.ts";
import { Broker } from "../broker.ts";
import { type Child, startHelper } from "../child.ts";
import { atMost, type Figure } from "../figure.ts";
import { effort } from "../measure/effort.ts";
import { median } from "../measure/statistics.ts";
import type { BrokerKind } from "../processes/broker-kind.ts";
import { newClusterName } from "../processes/cluster-name.ts";
import { EchoContract, payload } from "../processes/echo.ts";
import { say } from "../parent.ts";

const ENTITIES = 64;
const GOAL_MS = 1_000;
/** Longer than any gap that is not a failure of its own. */
const ROUND_MS = 2_000;
const PAUSE_MS = 2;

const kind = process.argv[2] as BrokerKind;
const { processes } = effort();
await using broker = await Broker.start(kind);
const name = newClusterName();
const owners: Child[] = [];
const pids: number[] = [];
await using cluster = await Cluster.start({ transport: broker.url, name });
for (let i = 0; i < 2; i++) await addOwner();

const load = { isOver: false, longestMs: 0 };
const loops = Array.from({ length: ENTITIES }, (_, n) => callOn(`gap-${n}`));

const killed: number[] = [];
for (let i = 0; i < processes; i++) {
  killed.push(await longestGapOf(async () => void process.kill(pids.shift()!, "SIGKILL")));
  await owners.shift()![Symbol.asyncDispose]();
  await addOwner();
}
tell("SIGKILL of a node, longest gap", killed, null);

const restarted: number[] = [];
const downMs: number[] = [];
for (let i = 0; i < processes; i++) {
  const restart = async (): Promise<void> => void downMs.push(await broker.restart());
  restarted.push(await longestGapOf(restart));
}
tell("restart of the broker, longest gap", restarted, Math.max(...downMs));

load.isOver = true;
await Promise.all(loops);
for (const owner of owners) await owner[Symbol.asyncDispose]();

/** Adds an owner; resolves when shards have moved to it. */
async function addOwner(): Promise<void> {
  const owner = startHelper("processes/member.ts", name, "owner", broker.url);
  owners.push(owner);
  pids.push(((await owner.next()) as { readonly pid: number }).pid);
  await wait(ROUND_MS / 2);
}

/** Calls one entity after each answer, until the load is over. */
async function callOn(id: string): Promise<void> {
  let answeredMs = performance.now();
  for (let n = 0; !load.isOver; n++) {
    try {
      await cluster.entity(EchoContract, id).send(payload(n), { timeout: "20s" });
    } catch (error) {
      // The dead node may have run it, or this one is over and begins anew: the gap goes on.
      if (!isCatgaError(error)) throw error;
      await wait(PAUSE_MS);
      continue;
    }
    const nowMs = performance.now();
    load.longestMs = Math.max(load.longestMs, nowMs - answeredMs);
    answeredMs = nowMs;
    await wait(PAUSE_MS);
  }
}

async function longestGapOf(happen: () => Promise<void>): Promise<number> {
  load.longestMs = 0;
  await happen();
  await wait(ROUND_MS);
  return load.longestMs;
}

function tell(what: string, gapsMs: readonly number[], floor: number | null): void {
  const ops = Math.max(...gapsMs);
  const { name: runtime, version } = runtimeOf();
  say({
    name: `${kind} ${what}`,
    runtime: `${runtime} ${version}`,
    unit: "ms",
    ops,
    p50Us: median(gapsMs) * 1_000,
    p99Us: null,
    n: gapsMs.length,
    floor,
    ratio: null,
    goals: [atMost(ops, GOAL_MS, "ms")],
  } satisfies Figure);
}
