/**
 * Faults of real processes: `npm run faults -- embedded`, or `nats`, or `redis`, with
 * `--runtime node|bun|deno|mixed`, `--minutes N` and `--only text`. Ends with 1 when a check fails.
 * Every scenario has a cluster, and a broker, of its own, and is judged by `verdict.ts`. With
 * `state sqlite`, `state nats` or `state redis` its entities are kept: see `kept-scenario.ts`.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { type DriverName, startBroker } from "./broker.ts";
import { BROKER_FAULTS } from "./broker-faults.ts";
import { KEPT_FAULTS } from "./kept-faults.ts";
import { type KeptScenario, runKept } from "./kept-scenario.ts";
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
const isKept = positionals[0] === "state";
const [wanted = DRIVERS[0]!, ...unknown] = isKept ? positionals.slice(1) : positionals;
// The embedded driver has no store of its own.
const driver = DRIVERS.find(
  (name) => name === (isKept && wanted === "sqlite" ? "embedded" : wanted),
);
const runtimes = RUNTIMES.filter((name) => ["mixed", name].includes(values.runtime));
if (driver === undefined || unknown.length > 0 || runtimes.length === 0) {
  console.error(`Cannot test "${positionals.join(" ")}" on "${values.runtime}"`);
  console.error(
    `There are ${DRIVERS.join(", ")}, state and a store, on ${[...RUNTIMES, "mixed"].join(", ")}`,
  );
  process.exit(2);
}

const all: readonly (Scenario | KeptScenario)[] = isKept ? KEPT_FAULTS : SCENARIOS;
const chosen = all.filter(
  ({ name, drivers = DRIVERS }) => drivers.includes(driver) && name.includes(values.only),
);
const endMs = performance.now() + Number(values.minutes) * 60_000;
let ran = 0;
let failed = 0;
do for (const scenario of chosen) failed += (await run(scenario, driver)) ? 0 : 1;
while (performance.now() < endMs);
console.log(`${ran - failed} of ${ran} scenarios are well over ${wanted}, on ${values.runtime}`);
process.exit(failed === 0 && ran > 0 ? 0 : 1);

async function run(scenario: Scenario | KeptScenario, driver: DriverName): Promise<boolean> {
  // Each time the first node, which may be the hub, runs on another one.
  const first = ran++ % runtimes.length;
  const turned: Runtime[] = [...runtimes.slice(first), ...runtimes.slice(0, first)];
  const { heartbeat, isProxied = false } = scenario;
  const isProbed = "nodes" in scenario;
  const persistence = isProbed ? scenario.persistence : undefined;
  const broker = await startBroker(driver, persistence ?? "appendonly");
  try {
    const entities = isProbed ? "probe" : "kept";
    await using rig = new Rig({ heartbeat, broker, runtimes: turned, isProxied, entities });
    return await (isProbed ? runAt(rig, scenario) : runKeptAt(rig, scenario));
  } catch (error) {
    console.log(`FAILED ${scenario.name}: ${String(error)}`);
    return false;
  } finally {
    await broker?.stop();
  }
}

async function runKeptAt(rig: Rig, scenario: KeptScenario): Promise<boolean> {
  const beganMs = performance.now();
  const { wrong, figures } = await runKept(rig, scenario);
  const seconds = ((performance.now() - beganMs) / 1_000).toFixed(1);
  print(scenario.name, wrong, `${figures}, ${seconds} s`);
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
