/** The command `catga` as a process: on each runtime as it is, or built as npm has it. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { commandOf, type Runtime } from "../faults/runtimes.ts";

/** What came of it. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One that runs. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

/** Where the repository is. */
export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));
const BUILT = join(ROOT, "node_modules", ".cache", "catga-command");

/** The command as it is run from its source. */
export function sourceOf(runtime: Runtime): readonly string[] {
  return commandOf(runtime, join(ROOT, "src", "cli", "main.ts"));
}

/** The command as it is built; the path of its file. */
export function build(): string {
  mkdirSync(BUILT, { recursive: true });
  // Inside node_modules the type of the outer package does not count.
  writeFileSync(join(BUILT, "package.json"), '{ "type": "module" }\n');
  const compiler = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  const [node] = commandOf("node", "");
  const args = [compiler, "-p", join(ROOT, "tsconfig.build.json"), "--outDir", BUILT];
  const { status, stdout } = spawnSync(node, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`Cannot build: ${stdout}`);
  return join(BUILT, "cli", "main.js");
}

/** Runs `command`, with `words` behind it and `input` on standard input; none leaves that open. */
export function start(
  [program = "", ...before]: readonly string[],
  words: readonly string[],
  { input, env = {} }: { readonly input?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Running {
  const child = spawn(program, [...before, ...words], {
    env: { ...process.env, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...env },
    stdio: "pipe",
  });
  if (input !== undefined) child.stdin.end(input);
  // It may end without reading all.
  child.stdin.on("error", () => {});
  const said = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said.stderr += text));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, ...said }));
  });
  return { child, ended };
}

/** The same, until its end. */
export function run(
  command: readonly string[],
  words: readonly string[],
  input = "",
): Promise<Ended> {
  return start(command, words, { input }).ended;
}
