/**
 * Faults of real processes: `npm run faults -- embedded`, or `nats`, or `redis`, with
 * `--runtime node|bun|deno|mixed`, `--minutes N` and `--only text`. Ends with 1 when a check fails.
 * Every scenario has a cluster, and a broker, of its own, and is judged by `verdict.ts`. With
 * `state sqlite`, `state nats` or `state redis` its entities are kept: see `kept-scenario.ts`. With
 * `mediator` it is about messages that any node may handle, over the drivers named, or the embedded
 * one and NATS: see `mediator-scenario.ts`.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { type DriverName, startBroker } from "./broker.ts";
import { BROKER_FAULTS } from "./broker-faults.ts";
import { MEDIATOR_FAULTS } from "./mediator-faults.ts";
import { type MediatorScenario, runMediator } from "./mediator-scenario.ts";
import { KEPT_FAULTS } from "./kept-faults.ts";
import { type KeptResult, type KeptScenario, runKept } from "./kept-scenario.ts";
import { NETWORK_FAULTS } from "./network-faults.ts";
import { NODE_FAULTS } from "./node-faults.ts";
import { Rig } from "./rig.ts";
import { type Runtime, RUNTIMES } from "./runtimes.ts";
import type { Scenario } from "./scenario.ts";
import { judge } from "./verdict.ts";

const DRIVERS: readonly DriverName[] = ["embedded", "nats", "redis"];
const SCENARIOS = [...NODE_FAULTS, ...BROKER_FAULTS, ...NETWORK_FAULTS];
const LINES_MAX = 6;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: "string", default: "0" },
    only: { type: "string", default: "" },
    runtime: { type: "string", default: "node" },
  },
});
type Any = Scenario | KeptScenario | MediatorScenario;
/** What nodes host, and what is done to them. */
const SUBJECTS = {
  probe: { scenarios: SCENARIOS, drivers: ["embedded"] },
  kept: { scenarios: KEPT_FAULTS, drivers: ["embedded"] },
  handlers: { scenarios: MEDIATOR_FAULTS, drivers: ["embedded", "nats"] },
} as const;

const [word = ""] = positionals;
const subject = word === "state" ? "kept" : word === "mediator" ? "handlers" : "probe";
const named = subject === "probe" ? positionals : positionals.slice(1);
const wanted = named.length > 0 ? named : SUBJECTS[subject].drivers;
// The embedded driver has no store of its own.
const drivers = wanted.map((name) =>
  DRIVERS.find((each) => each === (subject === "kept" && name === "sqlite" ? "embedded" : name)),
);
const runtimes = RUNTIMES.filter((name) => ["mixed", name].includes(values.runtime));
if (drivers.includes(undefined) || runtimes.length === 0) {
  console.error(`Cannot test "${positionals.join(" ")}" on "${values.runtime}"`);
  console.error(
    `There are ${DRIVERS.join(", ")}, state and a store, mediator and drivers, ` +
      `on ${[...RUNTIMES, "mixed"].join(", ")}`,
  );
  process.exit(2);
}

const all: readonly Any[] = SUBJECTS[subject].scenarios;
const endMs = performance.now() + Number(values.minutes) * 60_000;
let ran = 0;
let failed = 0;
do for (const driver of drivers) if (driver !== undefined) await runAll(driver);
while (performance.now() < endMs);
const over = wanted.join(" and ");
console.log(`${ran - failed} of ${ran} scenarios are well over ${over}, on ${values.runtime}`);
process.exit(failed === 0 && ran > 0 ? 0 : 1);

async function runAll(driver: DriverName): Promise<void> {
  if (wanted.length > 1) console.log(`over ${driver}`);
  for (const scenario of all) {
    const { name, drivers: own = DRIVERS } = scenario;
    if (!own.includes(driver) || !name.includes(values.only)) continue;
    failed += (await run(scenario, driver)) ? 0 : 1;
  }
}

async function run(scenario: Any, driver: DriverName): Promise<boolean> {
  // Each time the first node, which may be the hub, runs on another one.
  const first = ran++ % runtimes.length;
  const turned: Runtime[] = [...runtimes.slice(first), ...runtimes.slice(0, first)];
  const { heartbeat } = scenario;
  const isProxied = "isProxied" in scenario && scenario.isProxied;
  const isProbed = "nodes" in scenario;
  const persistence = isProbed ? scenario.persistence : undefined;
  const broker = await startBroker(driver, persistence ?? "appendonly");
  try {
    const entities = subject;
    await using rig = new Rig({ heartbeat, broker, runtimes: turned, isProxied, entities });
    if (isProbed) return await runAt(rig, scenario);
    const running = "load" in scenario ? runMediator(rig, scenario) : runKept(rig, scenario);
    return await told(scenario.name, running);
  } catch (error) {
    console.log(`FAILED ${scenario.name}: ${String(error)}`);
    return false;
  } finally {
    await broker?.stop();
  }
}

async function told(name: string, running: Promise<KeptResult>): Promise<boolean> {
  const beganMs = performance.now();
  const { wrong, figures } = await running;
  const seconds = ((performance.now() - beganMs) / 1_000).toFixed(1);
  print(name, wrong, `${figures}, ${seconds} s`);
  return wrong.length === 0;
}

async function runAt(rig: Rig, scenario: Scenario): Promise<boolean> {
  for (let n = 1; n <= scenario.nodes; n++) await rig.start(`n${n}`);
  if (scenario.nodes > 0) await rig.load();
  await scenario.run(rig);
  await rig.recovered();
  const load = await rig.finish();
  const turns = rig.turns();
  const wrong = judge({ turns, load, failed: rig.failed }, scenario);
  wrong.push(...rig.undone.map((what) => `this did not happen: ${what}`));
  const idle = [...new Set(rig.runtimes.values())].filter(
    (runtime) => !turns.some(({ node }) => rig.runtimes.get(node) === runtime),
  );
  if (idle.length > 0) wrong.push(`no turns on ${idle.join(", ")}`);
  const unknown = load.failures.filter(({ code }) => code === "OUTCOME_UNKNOWN").length;
  const figures = `${load.sent} sent, ${unknown} unknown, longest gap ${load.gapMs} ms`;
  print(scenario.name, wrong, figures);
  if (wrong.length > 0) {
    // Who hung for longer than a lease is rightly gone; without an owner nothing is answered.
    console.log(`       the caller saw die: ${rig.failed.join(", ")}`);
    console.log(`       on ${[...rig.runtimes].map((each) => each.join(" ")).join(", ")}`);
  }
  return wrong.length === 0;
}

function print(name: string, wrong: readonly string[], figures: string): void {
  console.log(`${wrong.length === 0 ? "ok    " : "FAILED"} ${name.padEnd(48)} ${figures}`);
  for (const text of wrong.slice(0, LINES_MAX)) console.log(`       ${text}`);
  if (wrong.length > LINES_MAX) console.log(`       and ${wrong.length - LINES_MAX} more`);
}
