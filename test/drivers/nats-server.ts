/**
 * A nats-server of one test: on a free port of loopback, with its data in a folder of its own. It
 * runs on any of the runtimes, for the contracts do.
 */
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { BrokerProcess } from "./broker-process.ts";
import { freePort } from "./port.ts";

/** See the file's header. */
export class NatsServer {
  readonly port: number;
  readonly #host: string;
  readonly #process = new BrokerProcess("nats-server");
  readonly #config: string;
  readonly #data: string;

  private constructor(port: number, more: string, host: string) {
    this.port = port;
    this.#host = host;
    this.#config = join(this.#process.folder, "server.conf");
    this.#data = join(this.#process.folder, "data");
    this.configure(more);
  }

  /** `more` is configuration; with the comment `# no-jetstream` the server keeps nothing. */
  static async start(more = "", host = "127.0.0.1"): Promise<NatsServer> {
    const server = new NatsServer(await freePort(), more, host);
    await server.resume();
    return server;
  }

  /** Where it is. */
  get url(): `nats://${string}` {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Writes its configuration anew, for the next time it starts. */
  configure(more: string): void {
    const store = more.includes("no-jetstream") ? "" : `jetstream { store_dir: "${this.#data}" }`;
    writeFileSync(this.#config, `listen: "${this.#host}:${this.port}"\n${store}\n${more}\n`);
  }

  /** Starts the server, again after {@link kill}; resolves when it takes connections. */
  async resume(): Promise<void> {
    await this.#process.start(["--config", this.#config], () => greets(this.port));
  }

  /** Sends it a signal: SIGSTOP and SIGCONT, or one that ends it, which is waited for. */
  async kill(signal?: NodeJS.Signals): Promise<void> {
    await this.#process.kill(signal);
  }

  /** What it has kept is gone; only while it does not run. */
  wipe(): void {
    rmSync(this.#data, { recursive: true, force: true });
  }

  /** Keeps a copy of what it has stored; only while it does not run, as the next. */
  backUp(): void {
    cpSync(this.#data, `${this.#data}.copy`, { recursive: true });
  }

  /** It has stored what {@link backUp} found, and nothing since. */
  goBack(): void {
    this.wipe();
    cpSync(`${this.#data}.copy`, this.#data, { recursive: true });
  }

  /** Ends it and removes its data. */
  async stop(): Promise<void> {
    await this.#process.stop();
  }
}

/** True when a server says who it is on `port`. */
function greets(port: number): Promise<boolean> {
  const socket = createConnection({ host: "127.0.0.1", port });
  return new Promise<boolean>((resolve) => {
    socket.once("data", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
  }).finally(() => socket.destroy());
}
