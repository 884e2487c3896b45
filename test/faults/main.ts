/**
 * Faults of real processes: `npm run faults -- embedded [--minutes N] [--only text]`, or `-- nats`.
 * Ends with 1 when a check fails. Every scenario has a cluster of its own under constant load; over
 * a broker "the hub" is a node like all others, and the broker has scenarios of its own.
 */
import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { NatsServer } from "../drivers/nats-server.ts";
import { Rig } from "./rig.ts";
import { judge } from "./verdict.ts";

interface Scenario {
  readonly name: string;
  readonly heartbeat: "fast" | "normal";
  readonly nodes: number;
  readonly run: (rig: Rig) => Promise<void>;
  /** Nothing dies in it: no node may be declared dead, no outcome be unknown. */
  readonly isPlanned?: boolean;
  readonly isForBrokers?: boolean;
  /** All nodes end and begin anew in it: calls are refused meanwhile, as not run. */
  readonly mayRefuse?: boolean;
}

const LEASE_MS = 800;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { minutes: { type: "string", default: "0" }, only: { type: "string", default: "" } },
});
const [driver = "embedded", ...unknown] = positionals;
if (unknown.length > 0 || !["embedded", "nats"].includes(driver)) {
  console.error(`Cannot test "${positionals.join(" ")}": there are "embedded" and "nats"`);
  process.exit(2);
}
const isOverNats = driver === "nats";

/** n1 is the hub, too. */
function stopped(node: "n1" | "n2", leases: number): Scenario {
  return {
    name: `SIGSTOP of ${node === "n1" ? "the hub" : "an owner"} for ${leases} leases`,
    heartbeat: "fast",
    nodes: 3,
    // The others could not renew either, and the hub reads first what they sent meanwhile.
    isPlanned: node === "n1" && !isOverNats,
    async run(rig) {
      for (let times = leases < 1 ? 5 : 1; times > 0; times--) {
        rig.signal(node, "SIGSTOP");
        await wait(leases * LEASE_MS);
        rig.signal(node, "SIGCONT");
        await wait(1_500);
      }
    },
  };
}

/** Ends `nodes` without a word; what they are stands in the name. */
function killed(what: string, nodes: readonly string[]): Scenario {
  return {
    name: `SIGKILL of ${what}`,
    heartbeat: "fast",
    nodes: 2 + nodes.length,
    async run(rig) {
      for (const node of nodes) rig.signal(node, "SIGKILL");
      await wait(2_000);
    },
  };
}

const SCENARIOS: readonly Scenario[] = [
  killed("an owner", ["n2"]),
  killed("the hub", ["n1"]),
  killed("the hub and an owner", ["n1", "n3"]),
  ...[0.1, 0.6, 1.2, 3].map((leases) => stopped("n2", leases)),
  ...[0.87, 2].map((leases) => stopped("n1", leases)),
  {
    name: "a busy loop longer than the lease",
    heartbeat: "fast",
    nodes: 3,
    async run(rig) {
      rig.block("n2", 1.5 * LEASE_MS);
      await wait(3_000);
    },
  },
  {
    name: "a rolling restart of all nodes",
    heartbeat: "normal",
    nodes: 3,
    isPlanned: true,
    async run(rig) {
      for (const id of ["n1", "n2", "n3"]) {
        await rig.stop(id);
        await rig.start(`${id}b`);
        await wait(400);
      }
    },
  },
  {
    name: "scaling from 3 to 9 and back",
    heartbeat: "normal",
    nodes: 3,
    isPlanned: true,
    async run(rig) {
      const more = ["n4", "n5", "n6", "n7", "n8", "n9"];
      for (const id of more) await rig.start(id);
      await wait(1_000);
      for (const id of more) await rig.stop(id);
      await wait(500);
    },
  },
  ...(["SIGKILL", "SIGTERM"] as const).map((signal): Scenario => ({
    name: `${signal} and restart of the broker`,
    heartbeat: "fast",
    nodes: 3,
    isPlanned: true,
    isForBrokers: true,
    async run({ broker }) {
      for (let times = 0; times < 5; times++) {
        await broker!.kill(signal);
        await broker!.resume();
        await wait(700);
      }
    },
  })),
  {
    name: "SIGSTOP of the broker for 3 leases",
    heartbeat: "fast",
    nodes: 3,
    // Not planned: the caller's lease is longer, so it may take the others for dead before it
    // learns that it is the broker which is silent.
    isForBrokers: true,
    async run({ broker }) {
      await broker!.kill("SIGSTOP");
      await wait(3 * LEASE_MS);
      await broker!.kill("SIGCONT");
      await wait(1_500);
    },
  },
  {
    name: "a broker that comes back without its data",
    heartbeat: "fast",
    nodes: 3,
    isForBrokers: true,
    mayRefuse: true,
    async run({ broker }) {
      await broker!.kill();
      broker!.wipe();
      await broker!.resume();
      await wait(6_000);
    },
  },
  {
    name: "two first nodes at once",
    heartbeat: "normal",
    nodes: 0,
    isPlanned: true,
    async run(rig) {
      await Promise.all([rig.start("n1"), rig.start("n2")]);
      await rig.load();
      await wait(1_500);
    },
  },
];

async function run(scenario: Scenario): Promise<boolean> {
  const broker = isOverNats ? await NatsServer.start() : undefined;
  try {
    return await runAt(broker, scenario);
  } finally {
    await broker?.stop();
  }
}

async function runAt(broker: NatsServer | undefined, scenario: Scenario): Promise<boolean> {
  await using rig = new Rig(scenario.heartbeat, broker);
  for (let n = 1; n <= scenario.nodes; n++) await rig.start(`n${n}`);
  if (scenario.nodes > 0) await rig.load();
  await scenario.run(rig);
  const load = await rig.finish();
  const wrong = judge(rig.turns(), load);
  const unknown = load.errors["OUTCOME_UNKNOWN"] ?? 0;
  if (scenario.isPlanned === true) {
    if (rig.failed.length > 0) wrong.push(`declared dead: ${rig.failed.join(", ")}`);
    if (unknown > 0) wrong.push(`${unknown} outcomes are unknown`);
  }
  const expected = ["OUTCOME_UNKNOWN", ...(scenario.mayRefuse === true ? ["UNAVAILABLE"] : [])];
  const others = Object.entries(load.errors).filter(([code]) => !expected.includes(code));
  for (const [code, count] of others) wrong.push(`${count} calls failed with ${code}`);
  console.log(
    `${wrong.length === 0 ? "ok    " : "FAILED"} ${scenario.name.padEnd(40)} ${load.sent} sent, ` +
      `${unknown} unknown, longest gap ${load.gapMs} ms`,
  );
  for (const text of wrong.slice(0, 6)) console.log(`       ${text}`);
  // Who hung for longer than a lease is rightly gone; without an owner nothing is answered.
  if (wrong.length > 0) console.log(`       the caller saw die: ${rig.failed.join(", ")}`);
  return wrong.length === 0;
}

let failed = 0;
const chosen = SCENARIOS.filter(
  ({ name, isForBrokers = false }) => name.includes(values.only) && (isOverNats || !isForBrokers),
);
const endMs = performance.now() + Number(values.minutes) * 60_000;
do for (const scenario of chosen) failed += (await run(scenario)) ? 0 : 1;
while (performance.now() < endMs);
process.exit(failed === 0 ? 0 : 1);
