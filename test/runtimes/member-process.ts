/** Processes of all runtimes that are nodes, and do what a test tells them; see `member.ts`. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { waitUntil } from "../contracts/wait-until.ts";
import type { Order } from "./member.ts";

const root = join(import.meta.dir, "../..");
const packages = join(root, "node_modules");
const program = join(import.meta.dir, "member.ts");
/** How a member is started, by runtime. */
export const RUNTIMES = {
  bun: [join(packages, "bun", "bin", "bun.exe"), program],
  node: [join(packages, "node", "bin", "node"), program],
  deno: [join(packages, "deno", "deno"), "run", "--no-check", "-A", program],
} as const;
/** A process that is a node, with what it said. */
export class Member {
  readonly id: string;
  readonly process: ChildProcessWithoutNullStreams;
  readonly #lines: string[] = [];
  #errors = "";
  exitCode: number | null | undefined;

  constructor(id: string, [command, ...args]: readonly [string, ...string[]]) {
    this.id = id;
    this.process = spawn(command, args, { cwd: root });
    createInterface({ input: this.process.stdout }).on("line", (line) => this.#lines.push(line));
    this.process.stderr.on("data", (text) => (this.#errors += String(text)));
    this.process.once("exit", (code) => (this.exitCode = code));
  }

  /** What it says next. */
  async answer(): Promise<unknown> {
    const said = (): boolean => this.#lines.length > 0 || this.exitCode !== undefined;
    const describe = (): unknown => this.#errors;
    await waitUntil(`${this.id} answers`, said, { timeoutMs: 20_000, describe });
    const line = this.#lines.shift();
    if (line === undefined) throw new Error(`${this.id} ended: ${this.#errors}`);
    return JSON.parse(line);
  }

  ask(order: Order): Promise<unknown> {
    this.process.stdin.write(`${JSON.stringify(order)}\n`);
    return this.answer();
  }
}
