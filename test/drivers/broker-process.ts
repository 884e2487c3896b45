/** The process of a broker that a test starts, kills, stops in its tracks and starts again. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { waitUntil } from "../contracts/wait-until.ts";

/** False when somebody has asked to leave out all that needs a broker; that is said aloud. */
export function brokersAreWanted(): boolean {
  if (process.env["CATGA_SKIP_BROKERS"] !== "1") return true;
  console.warn("SKIPPED: everything that needs a broker, because CATGA_SKIP_BROKERS is 1");
  return false;
}

/** See the file's header. It has a folder of its own, which goes with {@link stop}. */
export class BrokerProcess {
  readonly folder: string;
  readonly #program: string;
  #process: ChildProcess | undefined;

  constructor(program: string) {
    this.#program = program;
    this.folder = mkdtempSync(join(tmpdir(), `catga-${program}-`));
  }

  /** Starts it; resolves when it `answers`, and rejects when it ends instead. */
  async start(args: readonly string[], answers: () => Promise<boolean>): Promise<void> {
    const program = this.#program;
    const child = spawn(program, args, {
      // Debian puts one of them where only root looks.
      env: { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/usr/local/sbin` },
      stdio: "ignore",
    });
    this.#process = child;
    let failure: Error | undefined;
    child.once("error", (error) => {
      const remedy = `run "apt-get install ${program}", or set CATGA_SKIP_BROKERS=1`;
      failure = new Error(`Cannot start ${program}: ${remedy}`, { cause: error });
    });
    child.once("exit", (code) => (failure ??= new Error(`${program} ended with ${code}`)));
    await waitUntil(
      `${program} answers`,
      async () => {
        if (failure !== undefined) throw failure;
        return answers();
      },
      { timeoutMs: 10_000 },
    );
  }

  /** Sends it a signal: SIGSTOP and SIGCONT, or one that ends it, which is waited for. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.pid === undefined) return;
    const ends = signal !== "SIGSTOP" && signal !== "SIGCONT";
    const ended = ends ? once(child, "exit") : undefined;
    child.kill(signal);
    await ended;
    if (ends) this.#process = undefined;
  }

  /** Ends it, and throws away what it has kept. */
  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
