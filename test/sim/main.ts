/**
 * The simulator: `npm run sim -- --planned 1000 --chaos 1000 [--seed 1]` runs schedules and ends
 * with 1 when one violates a rule, naming its seed and the smallest part of it that still fails,
 * with the command that replays just that (`--only`, `--entities`, `--rounds`); `--rollback 100`
 * lets the authority lose records, and `--directed 100 [--scene outage]` runs what is built for one
 * rule. `--exhaust` tries small clusters in every order (`--depth 6`, or further with few
 * `--changes 2`). `--mutations` takes each rule of the protocol out and replays what has to notice;
 * `--search` hunts for seeds.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { runDirected, SCENE_NAMES } from "./directed.ts";
import { replayMutations } from "./mutations.ts";
import type { Kind, Part } from "./plan.ts";
import { type Outcome, replaySchedule, runSchedule } from "./schedule.ts";
import { faultsOf, shrink, type Shrunk } from "./shrink.ts";
import { exhaustAll, type Extent, EXTENTS } from "./small.ts";

const { values } = parseArgs({
  options: {
    planned: { type: "string", default: "0" },
    chaos: { type: "string", default: "0" },
    rollback: { type: "string", default: "0" },
    directed: { type: "string", default: "0" },
    scene: { type: "string" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
    entities: { type: "string" },
    rounds: { type: "string" },
    exhaust: { type: "boolean", default: false },
    depth: { type: "string" },
    changes: { type: "string" },
    mutations: { type: "boolean", default: false },
    search: { type: "boolean", default: false },
    shrink: { type: "boolean", default: false },
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
  return {
    ...(only === undefined ? {} : { only: listOf(only).map(Number) }),
    ...(entities === undefined ? {} : { entities: listOf(entities) }),
    ...(rounds === undefined ? {} : { rounds: Number(rounds) }),
  };
}

function listOf(text: string): string[] {
  return text.split(",").filter((each) => each !== "");
}

async function report(outcome: Outcome): Promise<number> {
  const { kind, seed, violations } = outcome;
  const shrunk = values.shrink || !values.json ? await shrunkOf(outcome) : undefined;
  if (values.json) {
    console.log(JSON.stringify({ kind, seed, violation: violations[0], ...shrunk?.part }));
    return 1;
  }
  console.log(`${kind}, seed ${seed}: ${violations.slice(0, 5).join("; ")}`);
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

/** The smallest part that fails, unless the command line named a part. */
async function shrunkOf(outcome: Outcome): Promise<Shrunk | undefined> {
  return part === undefined ? shrink(outcome) : undefined;
}

/** Schedules that are built for one rule: of one scene, if the command line names it; else all. */
async function direct(count: number): Promise<number> {
  const first = Number(values.seed);
  let failed = 0;
  for (const kind of SCENE_NAMES) {
    if (values.scene !== undefined && values.scene !== kind) continue;
    for (let seed = first; seed < first + count && !(values.json && failed > 0); seed++) {
      const violations = await runDirected(kind, seed);
      if (violations.length > 0) failed += tell(kind, seed, violations[0]!);
    }
    if (count > 0 && !values.json) console.log(`${kind}: ${count} schedules`);
  }
  return failed;
}

/** What a violation of a directed schedule is told as. */
function tell(kind: string, seed: number, violation: string): number {
  console.log(
    values.json ? JSON.stringify({ kind, seed, violation }) : `${kind}, seed ${seed}: ${violation}`,
  );
  return 1;
}

/** One extent, if the command line names it; else all. */
async function exhaust({ depth, changes }: typeof values): Promise<number> {
  const changesMax = changes === undefined ? {} : { changesMax: Number(changes) };
  const extents = depth === undefined ? EXTENTS : [{ depth: Number(depth), ...changesMax }];
  let failed = 0;
  for (const extent of extents) failed += await exhaustTo(extent);
  return failed;
}

async function exhaustTo(extent: Extent): Promise<number> {
  let orders = 0;
  let failed = 0;
  for await (const { scenario, violation, ...tried } of exhaustAll(extent)) {
    orders += tried.orders;
    if (violation !== undefined) {
      failed++;
      const { text, skip, choices } = violation;
      if (values.json) console.log(JSON.stringify({ scenario, violation: text }));
      else console.log(`${scenario}, ${skip} events on: ${text}\n  ${choices.join("\n  ")}`);
      if (values.json) break;
    } else if (!values.json) {
      console.log(`${scenario}: ${tried.orders} orders, and ${tried.equal} equal to one of them`);
    }
  }
  const { depth, changesMax } = extent;
  const few = changesMax === undefined ? "" : ` with at most ${changesMax} changes`;
  if (values.json) return failed;
  console.log(`depth ${depth}${few}: ${orders} orders, ${failed} small clusters with violations`);
  return failed;
}

const part = partOf(values);
if (values.exhaust) process.exit((await exhaust(values)) === 0 ? 0 : 1);
if (values.mutations || values.search) {
  process.exit((await replayMutations({ search: values.search })) ? 0 : 1);
}
const failed =
  (await run("planned", Number(values.planned))) +
  (await run("chaos", Number(values.chaos))) +
  (await run("rollback", Number(values.rollback))) +
  (await direct(Number(values.directed)));
process.exit(failed === 0 ? 0 : 1);
