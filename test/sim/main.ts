/**
 * The simulator: `npm run sim -- --planned 1000 --chaos 1000 [--seed 1]` runs schedules and ends
 * with 1 when one violates a rule, naming its seed and the smallest part of it that fails, with the
 * command that replays just that (`--only`, `--entities`, `--rounds`). `--mutations` takes each rule
 * of the protocol out and replays the seed that has to notice; `--search` hunts for such seeds.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { replayMutations } from "./mutations.ts";
import type { Kind, Part } from "./plan.ts";
import { type Outcome, replaySchedule, runSchedule } from "./schedule.ts";
import { faultsOf, shrink } from "./shrink.ts";

const { values } = parseArgs({
  options: {
    planned: { type: "string", default: "0" },
    chaos: { type: "string", default: "0" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
    entities: { type: "string" },
    rounds: { type: "string" },
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
    const outcome = await runPart(kind, seed);
    total.sent += outcome.sent;
    total.answered += outcome.answered;
    for (const [code, n] of Object.entries(outcome.errors)) errors[code] = (errors[code] ?? 0) + n;
    if (outcome.violations.length > 0) total.failed += await report(outcome);
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

/** A schedule, or the part of it that the command line names. */
async function runPart(kind: Kind, seed: number): Promise<Outcome> {
  const whole = await runSchedule(kind, seed);
  return part === undefined ? whole : replaySchedule(whole, part);
}

function partOf({ only, entities, rounds }: typeof values): Part | undefined {
  if (only === undefined && entities === undefined && rounds === undefined) return undefined;
  const listOf = (text: string): string[] => text.split(",").filter((each) => each !== "");
  return {
    ...(only === undefined ? {} : { only: listOf(only).map(Number) }),
    ...(entities === undefined ? {} : { entities: listOf(entities) }),
    ...(rounds === undefined ? {} : { rounds: Number(rounds) }),
  };
}

async function report(outcome: Outcome): Promise<number> {
  const { kind, seed, violations } = outcome;
  if (values.json) {
    console.log(JSON.stringify({ kind, seed, violation: violations[0] }));
    return 1;
  }
  console.log(`${kind}, seed ${seed}: ${violations.slice(0, 5).join("; ")}`);
  const shrunk = part === undefined ? await shrink(outcome) : undefined;
  const smallest = shrunk?.outcome ?? outcome;
  for (const [round, fault] of faultsOf(smallest)) {
    const details = Object.entries(fault).filter(([name]) => name !== "kind");
    const text = details.map(([name, value]) => `${name} ${value}`).join(", ");
    console.log(`  round ${round}: ${fault.kind} ${text}`);
  }
  if (shrunk === undefined) return 1;
  const { only, entities, rounds } = shrunk.part;
  console.log(
    `  still fails with ${only.length} of ${shrunk.faultsBefore} faults: ` +
      `${smallest.violations[0]}\n  npm run sim -- --${kind} 1 --seed ${seed} ` +
      `--only "${only.join()}" --entities "${entities.join()}" --rounds ${rounds}`,
  );
  return 1;
}

const part = partOf(values);
if (values.mutations || values.search) {
  process.exit((await replayMutations({ search: values.search })) ? 0 : 1);
}
const failed =
  (await run("planned", Number(values.planned))) + (await run("chaos", Number(values.chaos)));
process.exit(failed === 0 ? 0 : 1);
