/** A real redis-server of a test's own: on a free port, its data in a folder that goes away. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { Redis } from "ioredis";
import { waitUntil } from "../contracts/wait-until.ts";
import { freePort } from "./port.ts";

/** True where brokers are left out on purpose; what is left out is said. */
export const SKIPS_BROKERS: boolean = process.env["CATGA_SKIP_BROKERS"] === "1";

/** A server that can be killed and started again, with its data or without. */
export class RedisServer {
  readonly port: number;
  readonly #options: readonly string[];
  #folder = "";
  #process: ChildProcess | undefined;
  #admin: Redis | undefined;
  /** Stands in the arguments of the client of {@link ask}. */
  readonly #password: string | undefined;

  private constructor(port: number, options: readonly string[]) {
    this.port = port;
    this.#options = options;
    const at = options.indexOf("--requirepass");
    this.#password = at === -1 ? undefined : options[at + 1];
  }

  /** Starts one; `options` are those of its command line. */
  static async start(...options: readonly string[]): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), options);
    await server.restart();
    return server;
  }

  /** Where it is. */
  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Starts it, with what its folder holds. */
  async restart(): Promise<void> {
    if (this.#folder === "") this.#folder = mkdtempSync(join(tmpdir(), "catga-redis-"));
    const data = ["--dir", this.#folder, "--appendonly", "yes", "--save", ""];
    const place = ["--port", `${this.port}`, "--bind", "127.0.0.1"];
    const child = spawn("redis-server", [...place, ...data, ...this.#options], { stdio: "ignore" });
    this.#process = child;
    let failure: Error | undefined;
    child.on("error", (error) => {
      const install = 'Cannot start redis-server: run "apt-get install redis-server"';
      failure = new Error(`${install}, or set CATGA_SKIP_BROKERS=1`, { cause: error });
    });
    await waitUntil("redis-server answers", async () => {
      if (failure !== undefined) throw failure;
      return (await this.ask("PING").catch(() => undefined)) === "PONG";
    });
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    this.#admin?.disconnect();
    this.#admin = undefined;
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.pid === undefined) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }

  /** Stops it in its tracks, or lets it go on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#process?.kill(signal);
  }

  /** Throws its data away; only while it does not run. */
  wipe(): void {
    if (this.#folder !== "") rmSync(this.#folder, { recursive: true, force: true });
    this.#folder = "";
  }

  /** Ends it and removes its data. */
  async stop(): Promise<void> {
    await this.kill();
    this.wipe();
  }

  /** A command by a connection of the test's own. */
  async ask(command: string, ...args: readonly string[]): Promise<unknown> {
    this.#admin ??= this.#connect();
    return this.#admin.call(command, ...args);
  }

  #connect(): Redis {
    const { port } = this;
    const password = this.#password === undefined ? {} : { password: this.#password };
    const admin = new Redis({
      port,
      ...password,
      maxRetriesPerRequest: 1,
      retryStrategy: () => 20,
    });
    admin.on("error", () => {});
    return admin;
  }
}
