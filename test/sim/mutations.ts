/**
 * Rules of the protocol, each with a patch that takes it out and the seed of a schedule that then
 * violates something. A rule that can be taken out unnoticed is either not needed or not tested.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { SCENE_NAMES } from "./directed.ts";
import { type Mutation, MUTATIONS, type Patch } from "./rules.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** How many schedules a search tries. */
const TRIES = 4_000;

/** Takes each rule out in turn; true when every one was noticed. */
export async function replayMutations({ search }: { readonly search: boolean }): Promise<boolean> {
  let missed = 0;
  for (const mutation of MUTATIONS) {
    const found = tryOut(mutation, search);
    if (found === undefined) missed++;
    const seed = found === undefined ? "NOT NOTICED" : `${mutation.kind} ${found.seed}`;
    console.log(`${mutation.rule.padEnd(52)} ${seed.padEnd(15)} ${found?.violation ?? ""}`);
  }
  return missed === 0;
}

interface Found {
  readonly seed: number;
  readonly violation: string;
}

/** Runs schedules on a patched copy of the source, which lies where it finds its libraries. */
function tryOut(mutation: Mutation, search: boolean): Found | undefined {
  const folder = join(ROOT, "node_modules/.cache", `catga-mutation-${process.pid}`);
  try {
    mkdirSync(folder, { recursive: true });
    for (const part of ["src", "test/sim"]) {
      cpSync(join(ROOT, part), join(folder, part), { recursive: true });
    }
    for (const patch of [mutation, ...(mutation.also ?? [])]) apply(patch, join(folder, "src"));
    const args = [join(folder, "test/sim/main.ts"), "--json", ...argumentsOf(mutation, search)];
    const { stdout } = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 240_000 });
    const line = stdout.split("\n").find((each) => each.startsWith("{"));
    return line === undefined ? undefined : (JSON.parse(line) as Found);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
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
