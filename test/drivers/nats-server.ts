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
  readonly #process = new BrokerProcess("nats-server");
  readonly #config: string;
  readonly #data: string;

  private constructor(port: number, more: string) {
    this.port = port;
    this.#config = join(this.#process.folder, "server.conf");
    this.#data = join(this.#process.folder, "data");
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

  /** Remembers what it has kept until now; only while it does not run. */
  remember(): void {
    cpSync(this.#data, `${this.#data}-before`, { recursive: true });
  }

  /** What it has kept is what it was at {@link remember}; only while it does not run. */
  goBack(): void {
    this.wipe();
    cpSync(`${this.#data}-before`, this.#data, { recursive: true });
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
