/** A process of `kept-process.ts`, as a test has it. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { waitUntil } from "../contracts/wait-until.ts";
import { RUNTIMES } from "../runtimes/member-process.ts";
import type { Append, Said, Settings } from "./kept-process.ts";

const PROGRAM = join(import.meta.dir, "kept-process.ts");
const PATIENCE = { timeoutMs: 60_000 };

/** See the file's header. */
export class KeptChild implements AsyncDisposable {
  /** Everything that it has said. */
  readonly said: Said[] = [];
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<unknown>;

  /** With `prefix` that command runs it. */
  constructor(runtime: keyof typeof RUNTIMES, settings: Settings, prefix: readonly string[] = []) {
    const [command, ...args] = RUNTIMES[runtime].slice(0, -1);
    const quiet = runtime === "node" ? ["--disable-warning=ExperimentalWarning"] : [];
    const words = [...prefix, command!, ...args, ...quiet, PROGRAM, JSON.stringify(settings)];
    this.#process = spawn(words[0]!, words.slice(1));
    this.#process.stderr.pipe(process.stderr);
    this.#process.stdin.on("error", () => {});
    const lines = createInterface({ input: this.#process.stdout });
    lines.on("line", (line) => this.said.push(JSON.parse(line) as Said));
    // What it said before it ended is read to the end.
    this.#ended = Promise.all([once(this.#process, "exit"), once(lines, "close")]);
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** The first thing of a kind that it has said, once it has. */
  async says<W extends Said["what"]>(what: W): Promise<Extract<Said, { what: W }>> {
    const find = () => this.said.find((each) => each.what === what);
    await waitUntil(`a process says ${what}`, () => find() !== undefined, {
      ...PATIENCE,
      describe: () => this.said.slice(-5),
    });
    return find() as Extract<Said, { what: W }>;
  }

  /** What it says next, of a kind that ends an order. */
  async append(order: Append): Promise<Said> {
    const before = this.said.length;
    const find = () =>
      this.said.slice(before).find(({ what }) => what === "answered" || what === "failed");
    this.#process.stdin.write(`${JSON.stringify(order)}\n`);
    await waitUntil("an order is carried out", () => find() !== undefined, PATIENCE);
    return find()!;
  }

  /** Stops it in its tracks; resolves when it stands still. */
  async freeze(): Promise<void> {
    this.#process.kill("SIGSTOP");
    const path = `/proc/${this.pid}/stat`;
    // Only Linux says so, elsewhere it is believed.
    const stands = (): boolean => !existsSync(path) || /\) [Tt] /.test(readFileSync(path, "utf8"));
    await waitUntil("a process stands still", stands);
  }

  thaw(): void {
    this.#process.kill("SIGCONT");
  }

  /** Ends it without a word; {@link ended} resolves later. */
  kill(): void {
    this.#process.kill("SIGKILL");
  }

  /** Resolves when it has ended, and all it has said was read. */
  async ended(): Promise<void> {
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.ended();
  }
}
