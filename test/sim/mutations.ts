/**
 * Rules of the protocol, each with a patch that takes it out and the seed of a schedule that then
 * violates something. A rule that can be taken out unnoticed is either not needed or not tested.
 */
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { SCENE_NAMES } from "./directed.ts";
import { type Mutation, MUTATIONS, type Patch } from "./rules.ts";

/** How many run at a time. */
const LANES = 2;
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** How many schedules a search tries. */
const TRIES = 4_000;

/** Takes each rule out; true when every one was noticed. */
export async function replayMutations({ search }: { readonly search: boolean }): Promise<boolean> {
  const lanes: Promise<Found | undefined>[] = Array.from({ length: LANES }, async () => undefined);
  const outcomes = MUTATIONS.map((mutation, index) => {
    const lane = index % LANES;
    return (lanes[lane] = lanes[lane]!.then(() => tryOut(mutation, lane, search)));
  });
  let missed = 0;
  for (const [index, { rule, kind }] of MUTATIONS.entries()) {
    const found = await outcomes[index];
    if (found === undefined) missed++;
    const seed = found === undefined ? "NOT NOTICED" : `${kind} ${found.seed}`;
    console.log(`${rule.padEnd(52)} ${seed.padEnd(15)} ${found?.violation ?? ""}`);
  }
  return missed === 0;
}

interface Found {
  readonly seed: number;
  readonly violation: string;
}

/** Runs schedules on a patched copy of the source, which lies where it finds its libraries. */
async function tryOut(
  mutation: Mutation,
  lane: number,
  search: boolean,
): Promise<Found | undefined> {
  const folder = join(ROOT, "node_modules/.cache", `catga-mutation-${process.pid}-${lane}`);
  try {
    mkdirSync(folder, { recursive: true });
    for (const part of ["src", "test/sim"]) {
      cpSync(join(ROOT, part), join(folder, part), { recursive: true });
    }
    for (const patch of [mutation, ...(mutation.also ?? [])]) apply(patch, join(folder, "src"));
    const args = [join(folder, "test/sim/main.ts"), "--json", ...argumentsOf(mutation, search)];
    const stdout = await outputOf(args);
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
