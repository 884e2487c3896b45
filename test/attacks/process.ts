/** The target as a process, on any of the three runtimes. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import type { Figures } from "./target.ts";

/** Where the target may run. */
export type Runtime = "bun" | "node" | "deno";

const ROOT = join(import.meta.dirname, "../..");
const BINARIES = join(ROOT, "node_modules/.bin");
/** The binary, and what lets the target collect its garbage. */
const COMMANDS: Readonly<Record<Runtime, readonly [string, ...string[]]>> = {
  bun: [join(BINARIES, "bun")],
  node: [join(ROOT, "node_modules/node/bin/node"), "--expose-gc"],
  deno: [join(BINARIES, "deno"), "run", "--quiet", "-A", "--v8-flags=--expose-gc"],
};

/** Starts a program of this folder. */
export function start(runtime: Runtime, program: string, ...words: string[]): ChildProcess {
  const [binary, ...before] = COMMANDS[runtime];
  const env = { ...process.env, DENO_NO_UPDATE_CHECK: "1" };
  const stdio = ["pipe", "pipe", "inherit"] as const;
  const args = [...before, join(import.meta.dirname, program), ...words];
  return spawn(binary, args, { cwd: ROOT, env, stdio: [...stdio] });
}

/** A target that runs. */
export class Target implements AsyncDisposable {
  readonly runtime: Runtime;
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  static async start(runtime: Runtime): Promise<Target> {
    const child = start(runtime, "target.ts");
    const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    const { value } = await lines.next();
    if (value === undefined) throw new Error(`the target did not start on ${runtime}`);
    const { port } = JSON.parse(value) as { port: number };
    return new Target(runtime, port, [child, lines]);
  }

  private constructor(
    runtime: Runtime,
    port: number,
    [child, lines]: readonly [ChildProcess, AsyncIterator<string>],
  ) {
    this.runtime = runtime;
    this.port = port;
    this.#child = child;
    this.#lines = lines;
  }

  /** How it is; fails when it has ended. */
  async figures(after: "now" | "collect" = "now"): Promise<Figures> {
    this.#child.stdin!.write(`${after}\n`);
    const { value } = await this.#lines.next();
    if (value === undefined) throw new Error(`the target on ${this.runtime} has ended`);
    return JSON.parse(value) as Figures;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.stdin!.end();
    await ended;
  }
}
