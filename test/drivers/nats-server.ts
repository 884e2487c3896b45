/**
 * A nats-server of one test: on a free port of loopback, with its data in a folder of its own. It
 * runs on any of the runtimes, for the contracts do.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { waitUntil } from "../contracts/wait-until.ts";
import { freePort } from "./port.ts";

const MISSING =
  'Cannot start nats-server: run "apt-get install nats-server", ' +
  "or set CATGA_SKIP_BROKERS=1 to leave out what needs it";

/** False when somebody has asked to leave out all that needs a broker; that is said aloud. */
export function brokersAreWanted(): boolean {
  if (process.env["CATGA_SKIP_BROKERS"] !== "1") return true;
  console.warn("SKIPPED: everything that needs nats-server, because CATGA_SKIP_BROKERS is 1");
  return false;
}

/** See the file's header. */
export class NatsServer {
  readonly port: number;
  readonly #folder: string;
  readonly #config: string;
  #process: ChildProcess | undefined;

  private constructor(port: number, more: string) {
    this.port = port;
    this.#folder = mkdtempSync(join(tmpdir(), "catga-nats-"));
    this.#config = join(this.#folder, "server.conf");
    const store = more.includes("no-jetstream") ? "" : `jetstream { store_dir: "${this.#data}" }`;
    writeFileSync(this.#config, `listen: "127.0.0.1:${port}"\n${store}\n${more}\n`);
  }

  /** `more` is configuration; with the comment `# no-jetstream` the server keeps nothing. */
  static async start(more = ""): Promise<NatsServer> {
    const server = new NatsServer(await freePort(), more);
    await server.resume();
    return server;
  }

  /** Where it is. */
  get url(): `nats://${string}` {
    return `nats://127.0.0.1:${this.port}`;
  }

  get #data(): string {
    return join(this.#folder, "data");
  }

  /** Starts the server, again after {@link kill}; resolves when it takes connections. */
  async resume(): Promise<void> {
    const child = spawn("nats-server", ["--config", this.#config], {
      // Debian puts it where only root looks.
      env: { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/usr/local/sbin` },
      stdio: "ignore",
    });
    let failure: Error | undefined;
    child.once("error", (error) => (failure = new Error(MISSING, { cause: error })));
    this.#process = child;
    await waitUntil(
      "nats-server takes connections",
      async () => failure !== undefined || child.exitCode !== null || (await greets(this.port)),
      { timeoutMs: 10_000 },
    );
    if (failure !== undefined) throw failure;
    if (child.exitCode !== null) throw new Error(`nats-server ended with ${child.exitCode}`);
  }

  /** Sends it a signal: SIGSTOP and SIGCONT, or one that ends it, which is waited for. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    const ends = signal !== "SIGSTOP" && signal !== "SIGCONT";
    const ended = ends ? once(child, "exit") : undefined;
    child.kill(signal);
    await ended;
    if (ends) this.#process = undefined;
  }

  /** What it has kept is gone; only while it does not run. */
  wipe(): void {
    rmSync(this.#data, { recursive: true, force: true });
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** True when a server says who it is on `port`. */
function greets(port: number): Promise<boolean> {
  const socket = createConnection({ host: "127.0.0.1", port });
  return new Promise((resolve) => {
    socket.once("data", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
  }).then((result) => {
    socket.destroy();
    return result === true;
  });
}
