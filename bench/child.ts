/**
 * Child processes of the bench: a TypeScript file, unbuilt, on a runtime of `node_modules`.
 *
 * A child speaks in lines of JSON on its stdout. Cases are bounded and end by themselves; helpers,
 * which serve until they are told to stop, end with their stdin, so they outlive neither a parent
 * that crashed nor one that was killed. Whoever starts a child also ends it, by its process id.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type Runtime, runtimeOf } from "../src/base/runtime.ts";

/** A runtime by its name. */
export type RuntimeName = Runtime["name"];

const COMMANDS: { readonly [R in RuntimeName]: readonly [path: string, ...flags: string[]] } = {
  bun: [".bin/bun"],
  node: ["node/bin/node", "--expose-gc", "--max-old-space-size=8192"],
  deno: [".bin/deno", "run", "-A", "--v8-flags=--expose-gc,--max-old-space-size=8192"],
};
const LIFE_MS_MAX = 300_000;
const END_MS_MAX = 5_000;

/** What to start, and how. */
export interface ChildOptions {
  readonly runtime: RuntimeName;
  /** A file of `bench`, for example `cases/local.ts`. */
  readonly file: string;
  readonly args?: readonly string[];
  /** Where the file lies, if not beside this one: see `build.ts`. */
  readonly folder?: URL;
}

/** See the file's header. */
export class Child implements AsyncDisposable {
  readonly #name: string;
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<string>;
  readonly #watchdog: NodeJS.Timeout;

  constructor({ runtime, file, args = [], folder }: ChildOptions) {
    const [path, ...flags] = COMMANDS[runtime];
    const script = fileURLToPath(new URL(file, folder ?? import.meta.url));
    const command = fileURLToPath(new URL(`../node_modules/${path}`, import.meta.url));
    this.#name = `${file} on ${runtime}`;
    this.#process = spawn(command, [...flags, script, ...args], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#lines = createInterface({ input: this.#process.stdout! })[Symbol.asyncIterator]();
    this.#watchdog = setTimeout(() => this.#process.kill("SIGKILL"), LIFE_MS_MAX);
    this.#ended = new Promise((resolve) => {
      this.#process.once("error", (error) => resolve(error.message));
      this.#process.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    // A child that is gone closes its end; that it is gone is noticed by its exit.
    this.#process.stdin!.on("error", () => {});
  }

  /** The next line of the child, or `undefined` when it has ended well. */
  async next(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (done !== true) return JSON.parse(value) as unknown;
    const how = await this.#ended;
    if (how === "exit code 0") return undefined;
    throw new Error(`Cannot go on: ${this.#name} ended with ${how}`);
  }

  /** A line to the child's stdin. */
  tell(line: string): void {
    this.#process.stdin!.write(`${line}\n`);
  }

  /** Ends the child: politely, then for good. */
  async [Symbol.asyncDispose](): Promise<void> {
    const kill = setTimeout(() => this.#process.kill("SIGKILL"), END_MS_MAX);
    this.#process.stdin!.end();
    await this.#ended;
    clearTimeout(kill);
    clearTimeout(this.#watchdog);
  }
}

/** A helper of this process on the same runtime. */
export function startHelper(file: string, ...args: string[]): Child {
  return new Child({ runtime: runtimeOf().name, file, args });
}
