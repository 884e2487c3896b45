/**
 * Faults of real processes: `npm run faults -- embedded`, or `nats`, or `redis`, with
 * `--runtime node|bun|deno|mixed`, `--minutes N` and `--only text`. Ends with 1 when a check fails.
 * Every scenario has a cluster, and a broker, of its own, and is judged by `verdict.ts`.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { type DriverName, startBroker } from "./broker.ts";
import { BROKER_FAULTS } from "./broker-faults.ts";
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
const [wanted = "embedded", ...unknown] = positionals;
const driver = DRIVERS.find((name) => name === wanted);
const runtimes = RUNTIMES.filter((name) => ["mixed", name].includes(values.runtime));
if (driver === undefined || unknown.length > 0 || runtimes.length === 0) {
  console.error(`Cannot test "${positionals.join(" ")}" on "${values.runtime}"`);
  console.error(`There are ${DRIVERS.join(", ")}, on ${[...RUNTIMES, "mixed"].join(", ")}`);
  process.exit(2);
}

const chosen = SCENARIOS.filter(
  ({ name, drivers = DRIVERS }) => drivers.includes(driver) && name.includes(values.only),
);
const endMs = performance.now() + Number(values.minutes) * 60_000;
let ran = 0;
let failed = 0;
do for (const scenario of chosen) failed += (await run(scenario, driver)) ? 0 : 1;
while (performance.now() < endMs);
console.log(`${ran - failed} of ${ran} scenarios are well over ${driver}, on ${values.runtime}`);
process.exit(failed === 0 && ran > 0 ? 0 : 1);

async function run(scenario: Scenario, driver: DriverName): Promise<boolean> {
  // Each time the first node, which may be the hub, runs on another one.
  const first = ran++ % runtimes.length;
  const turned: Runtime[] = [...runtimes.slice(first), ...runtimes.slice(0, first)];
  const { heartbeat, persistence = "appendonly", isProxied = false } = scenario;
  const broker = await startBroker(driver, persistence);
  try {
    await using rig = new Rig({ heartbeat, broker, runtimes: turned, isProxied });
    return await runAt(rig, scenario);
  } catch (error) {
    console.log(`FAILED ${scenario.name}: ${String(error)}`);
    return false;
  } finally {
    await broker?.stop();
  }
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
  console.log(
    `${wrong.length === 0 ? "ok    " : "FAILED"} ${scenario.name.padEnd(48)} ${load.sent} sent, ` +
      `${unknown} unknown, longest gap ${load.gapMs} ms`,
  );
  for (const text of wrong.slice(0, LINES_MAX)) console.log(`       ${text}`);
  if (wrong.length > LINES_MAX) console.log(`       and ${wrong.length - LINES_MAX} more`);
  if (wrong.length > 0) {
    // Who hung for longer than a lease is rightly gone; without an owner nothing is answered.
    console.log(`       the caller saw die: ${rig.failed.join(", ")}`);
    console.log(`       on ${[...rig.runtimes].map((each) => each.join(" ")).join(", ")}`);
  }
  return wrong.length === 0;
}
