/**
 * The simulator: `npm run sim -- --planned 1000 --chaos 1000 [--seed 1]` runs schedules and ends
 * with 1 when one violates a rule, naming its seed; `--directed 100 [--scene outage]` those that
 * are built for one rule. `--mutations` takes each rule of the protocol out and replays the seed
 * that has to notice; `--search` hunts for such seeds.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { runDirected, SCENE_NAMES } from "./directed.ts";
import { replayMutations } from "./mutations.ts";
import { type Kind, type Outcome, runSchedule } from "./schedule.ts";

const { values } = parseArgs({
  options: {
    planned: { type: "string", default: "0" },
    chaos: { type: "string", default: "0" },
    rollback: { type: "string", default: "0" },
    directed: { type: "string", default: "0" },
    scene: { type: "string" },
    seed: { type: "string", default: "1" },
    mutations: { type: "boolean", default: false },
    search: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});

async function run(kind: Kind, count: number): Promise<number> {
  const first = Number(values.seed);
  const total = { sent: 0, answered: 0, failed: 0 };
  const errors: Record<string, number> = {};
  for (let seed = first; seed < first + count; seed++) {
    const outcome = await runSchedule(kind, seed);
    total.sent += outcome.sent;
    total.answered += outcome.answered;
    for (const [code, n] of Object.entries(outcome.errors)) errors[code] = (errors[code] ?? 0) + n;
    if (outcome.violations.length > 0) total.failed += report(outcome);
    // A mutation is caught by its first violation.
    if (values.json && total.failed > 0) break;
  }
  if (count > 0 && !values.json) {
    const { sent, answered, failed } = total;
    const codes = Object.entries(errors).map(([code, n]) => `${n} ${code}`);
    console.log(
      `${kind}: ${count} schedules, ${answered} of ${sent} calls answered, ` +
        `${failed} schedules with violations${codes.length > 0 ? `; ${codes.join(", ")}` : ""}`,
    );
  }
  return total.failed;
}

async function direct(count: number): Promise<number> {
  const first = Number(values.seed);
  let failed = 0;
  for (const kind of SCENE_NAMES) {
    if (values.scene !== undefined && values.scene !== kind) continue;
    for (let seed = first; seed < first + count && !(values.json && failed > 0); seed++) {
      const violations = await runDirected(kind, seed);
      if (violations.length > 0) failed += report({ kind, seed, violations });
    }
    if (count > 0 && !values.json) console.log(`${kind}: ${count} schedules`);
  }
  return failed;
}

type Report = Pick<Outcome, "seed" | "violations"> & { readonly kind: string };

function report({ kind, seed, violations }: Report): number {
  if (values.json) console.log(JSON.stringify({ kind, seed, violation: violations[0] }));
  else console.log(`${kind}, seed ${seed}: ${violations.slice(0, 5).join("; ")}`);
  return 1;
}

if (values.mutations || values.search) {
  process.exit((await replayMutations({ search: values.search })) ? 0 : 1);
}
const failed =
  (await run("planned", Number(values.planned))) +
  (await run("chaos", Number(values.chaos))) +
  (await run("rollback", Number(values.rollback))) +
  (await direct(Number(values.directed)));
process.exit(failed === 0 ? 0 : 1);
