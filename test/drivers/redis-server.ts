/** A redis-server of one test: on a free port of loopback, its data in a folder that goes away. */
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { BrokerProcess } from "./broker-process.ts";
import { freePort } from "./port.ts";

/** A server that can be killed and started again, with its data or without. */
export class RedisServer {
  readonly port: number;
  readonly #options: readonly string[];
  readonly #process = new BrokerProcess("redis-server");
  #admin: Redis | undefined;

  private constructor(port: number, options: readonly string[]) {
    this.port = port;
    this.#options = options;
  }

  /** Starts one; `options` are those of its command line. */
  static async start(...options: readonly string[]): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), options);
    await server.resume();
    return server;
  }

  /** Where it is. */
  get url(): `redis://${string}` {
    return `redis://127.0.0.1:${this.port}`;
  }

  get #data(): string {
    return join(this.#process.folder, "data");
  }

  /** Starts the server, again after {@link kill}, with what its folder holds. */
  async resume(): Promise<void> {
    mkdirSync(this.#data, { recursive: true });
    const data = ["--dir", this.#data, "--appendonly", "yes", "--save", ""];
    const place = ["--port", `${this.port}`, "--bind", "127.0.0.1"];
    await this.#process.start([...place, ...data, ...this.#options], async () => {
      return (await this.ask("PING").catch(() => undefined)) === "PONG";
    });
  }

  /** Sends it a signal: SIGSTOP and SIGCONT, or one that ends it, which is waited for. */
  async kill(signal?: NodeJS.Signals): Promise<void> {
    await this.#process.kill(signal);
  }

  /** What it has kept is gone; only while it does not run. */
  wipe(): void {
    rmSync(this.#data, { recursive: true, force: true });
  }

  /** Remembers what it has kept until now; only while it does not run. */
  backUp(): void {
    cpSync(this.#data, `${this.#data}-before`, { recursive: true });
  }

  /** What it has kept is what it was at {@link backUp}; only while it does not run. */
  goBack(): void {
    this.wipe();
    cpSync(`${this.#data}-before`, this.#data, { recursive: true });
  }

  /** Ends it and removes its data. */
  async stop(): Promise<void> {
    this.#admin?.disconnect();
    this.#admin = undefined;
    await this.#process.stop();
  }

  /** A command by a connection of the test's own. */
  async ask(command: string, ...args: readonly string[]): Promise<unknown> {
    this.#admin ??= this.#connect();
    return this.#admin.call(command, ...args);
  }

  #connect(): Redis {
    const { port } = this;
    const at = this.#options.indexOf("--requirepass");
    const password = at === -1 ? {} : { password: this.#options[at + 1]! };
    const manners = { maxRetriesPerRequest: 1, retryStrategy: () => 20 };
    const admin = new Redis({ port, ...password, ...manners });
    admin.on("error", () => {});
    return admin;
  }
}
