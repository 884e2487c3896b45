/**
 * Takes rules of the protocol out, and replays what has to notice. A rule that can be taken out
 * unnoticed is either not needed or not tested. The rules stand in `rules.ts`.
 */
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { SCENE_NAMES } from "./directed.ts";
import type { Mutation, Patch, Rule } from "./rule.ts";
import { MUTATIONS } from "./rules.ts";
import type { Extent } from "./small.ts";

/** How many run at a time. */
const LANES = 2;
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** How many schedules a search tries. */
const TRIES = 4_000;

/** Rules whose absence small clusters notice, and how far they have to be tried. */
const EXHAUSTED: readonly { readonly rule: Rule; readonly extent: Extent }[] = [
  {
    rule: {
      rule: "who leaves gives away what it never touched, too",
      file: "runtime/shards.ts",
      from: "if (isTouched || this.#concerns(number)) this.#look",
      to: "if (isTouched || (!this.isLeaving && this.#concerns(number))) this.#look",
    },
    extent: { depth: 2 },
  },
  { rule: ruleOf("O3 an unknown outcome is asked for, not assumed"), extent: { depth: 3 } },
  { rule: ruleOf("M3 a clean change of owner keeps the channel"), extent: { depth: 3 } },
  { rule: ruleOf("messages that wait travel with their entity"), extent: { depth: 3 } },
  { rule: ruleOf("M1 the counters move with the shard"), extent: { depth: 2, changesMax: 1 } },
];

/** What one rule is taken out for. */
interface Trial {
  readonly rule: Rule;
  /** What notices. */
  readonly by: string;
  readonly args: readonly string[];
}

/** What the simulator said of a violation. */
export interface Found {
  readonly violation: string;
  /** Of a schedule. */
  readonly seed?: number;
  /** The small cluster. */
  readonly scenario?: string;
  /** What is left of a schedule that was shrunk. */
  readonly only?: readonly number[];
  readonly entities?: readonly string[];
  readonly rounds?: number;
}

/** The rule of that name. @throws {RangeError} when there is none. */
export function ruleOf(name: string): Rule {
  const found = MUTATIONS.find(({ rule }) => rule === name);
  if (found === undefined) throw new RangeError(`Cannot take out "${name}": there is no such rule`);
  return found;
}

/** Rules whose text does not stand where it is to be taken out of. */
export function misplacedRules(): string[] {
  const rules: readonly Rule[] = [...MUTATIONS, ...EXHAUSTED.map(({ rule }) => rule)];
  const misplaced = rules.filter((rule) => ![rule, ...(rule.also ?? [])].every(stands));
  return misplaced.map(({ rule }) => rule);
}

/** Takes each rule out; true when every one was noticed. */
export async function replayMutations({ search }: { readonly search: boolean }): Promise<boolean> {
  const trials: Trial[] = [
    ...MUTATIONS.map((rule) => ({ rule, by: rule.kind, args: argumentsOf(rule, search) })),
    ...EXHAUSTED.map(({ rule, extent }) => ({ rule, by: "exhaust", args: extentOf(extent) })),
  ];
  const lanes: Promise<unknown>[] = Array.from({ length: LANES }, async () => {});
  const outcomes = trials.map(({ rule, args }, index) => {
    const outcome = lanes[index % LANES]!.then(() => runWithout(rule, args));
    lanes[index % LANES] = outcome;
    return outcome;
  });
  let missed = 0;
  for (const [index, { rule, by }] of trials.entries()) {
    const found = await outcomes[index];
    if (found === undefined) missed++;
    const noticed = found === undefined ? "NOT NOTICED" : `${by} ${found.seed ?? found.scenario}`;
    console.log(`${rule.rule.padEnd(52)} ${noticed.padEnd(15)} ${found?.violation ?? ""}`);
  }
  return missed === 0;
}

function stands({ file, from }: Patch): boolean {
  return readFileSync(join(ROOT, "src", file), "utf8").includes(from);
}

let copies = 0;

/** Runs the simulator on a patched copy of the source, which lies where it finds its libraries. */
export async function runWithout(rule: Rule, args: readonly string[]): Promise<Found | undefined> {
  const name = `catga-mutation-${process.pid}-${copies++}`;
  const folder = join(ROOT, "node_modules/.cache", name);
  try {
    mkdirSync(folder, { recursive: true });
    for (const part of ["src", "test/sim"]) {
      cpSync(join(ROOT, part), join(folder, part), { recursive: true });
    }
    for (const patch of [rule, ...(rule.also ?? [])]) apply(patch, join(folder, "src"));
    const stdout = await outputOf([join(folder, "test/sim/main.ts"), "--json", ...args]);
    const line = stdout.split("\n").find((each) => each.startsWith("{"));
    return line === undefined ? undefined : (JSON.parse(line) as Found);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What the simulator says; it ends with 1 when it has found something. */
function outputOf(args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(process.execPath, args, { timeout: 240_000 }, (_, stdout) => resolve(stdout));
  });
}

function apply({ file, from, to }: Patch, folder: string): void {
  const path = join(folder, file);
  const text = readFileSync(path, "utf8");
  if (!text.includes(from))
    throw new Error(`Cannot take out of ${file} what is not there: ${from}`);
  writeFileSync(path, text.replace(from, to));
}

function argumentsOf({ kind, seed }: Mutation, search: boolean): string[] {
  const range = search ? [`${TRIES}`] : ["1", "--seed", `${seed}`];
  const isScene = SCENE_NAMES.some((name) => name === kind);
  return isScene ? ["--scene", kind, "--directed", ...range] : [`--${kind}`, ...range];
}

function extentOf({ depth, changesMax }: Extent): string[] {
  const changes = changesMax === undefined ? [] : ["--changes", `${changesMax}`];
  return ["--exhaust", "--depth", `${depth}`, ...changes];
}
