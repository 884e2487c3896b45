/**
 * A broker for one run of the demo: on a free port of loopback, with a password that nobody else
 * knows and its data in a folder that goes away with it. However the demo ends, the broker does.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { BrokerName } from "./options.ts";

interface Place {
  readonly port: number;
  readonly word: string;
  readonly folder: string;
}

const HOST = "127.0.0.1";
const USER = "default"; // The one that Redis has without being told.
const PROGRAMS = { nats: "nats-server", redis: "redis-server" } as const;
const ARGUMENTS: { readonly [B in BrokerName]: (place: Place) => readonly string[] } = {
  nats: ({ port, word, folder }) =>
    `--addr ${HOST} --port ${port} --user ${USER} --pass ${word} --jetstream`
      .split(" ")
      .concat("--store_dir", folder),
  redis: ({ port, word, folder }) =>
    `--bind ${HOST} --port ${port} --requirepass ${word} --appendonly yes`
      .split(" ")
      .concat("--dir", folder, "--save", ""),
};
/** Debian puts one of them where not everybody's PATH leads. */
const SERVER_FOLDERS = ["/usr/sbin", "/usr/local/sbin"];
const SETUP = fileURLToPath(new URL("../../scripts/setup.mjs", import.meta.url));
/** Waits for the end of this process, which closes the pipe, and then cleans up after it. */
const KEEPER = 'cat >/dev/null; kill -9 "$1"; rm -rf "$2"';
/** Somebody may take the free port before the broker does. */
const TRIES = 3;
const START_MS_MAX = 10_000;
const POLL_MS = 20;

/** See the file's header. */
export class Broker {
  readonly url: string;
  readonly port: number;
  /** Rejects when it ends although nobody has asked it to. */
  readonly broken: Promise<never>;
  readonly #child: ChildProcess;
  readonly #keeper: ChildProcess;
  readonly #folder: string;
  #isStopping = false;

  private constructor(name: BrokerName, program: string, place: Place) {
    this.port = place.port;
    this.url = `${name}://${USER}:${place.word}@${HOST}:${place.port}`;
    this.#folder = place.folder;
    // A group of its own: Ctrl-C is for the demo, which stops its broker last.
    const own = { detached: true } as const;
    this.#child = spawn(program, ARGUMENTS[name](place), { ...own, stdio: "ignore" });
    const pid = `${this.#child.pid}`;
    const stdio = ["pipe", "ignore", "ignore"] as const;
    this.#keeper = spawn("sh", ["-c", KEEPER, "sh", pid, place.folder], {
      ...own,
      stdio: [...stdio],
    });
    this.broken = new Promise((_, reject) => {
      this.#child.once("exit", (code, signal) => {
        if (this.#isStopping) return;
        reject(new Error(`Cannot go on with ${PROGRAMS[name]}: it ended with ${signal ?? code}`));
      });
    });
    this.broken.catch(() => {}); // Whoever waits for something else hears of it there.
  }

  /**
   * Starts one, after the set-up has installed it where it is missing; resolves when it takes
   * connections.
   */
  static async start(name: BrokerName): Promise<Broker> {
    const program = programOf(name);
    for (let tries = 1; ; tries++) {
      const folder = mkdtempSync(join(tmpdir(), `catga-flights-${name}-`));
      const word = randomBytes(16).toString("hex");
      const broker = new Broker(name, program, { port: await freePort(), word, folder });
      try {
        await Promise.race([broker.#answers(), broker.broken]);
        return broker;
      } catch (error) {
        await broker.stop();
        if (tries === TRIES) throw error;
      }
    }
  }

  /** Ends it and removes its data. Twice is once. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const { exitCode, signalCode } = this.#child;
    if (exitCode === null && signalCode === null) {
      const ended = once(this.#child, "exit");
      this.#child.kill();
      await ended;
    }
    this.#keeper.kill("SIGKILL");
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #answers(): Promise<void> {
    for (const endMs = performance.now() + START_MS_MAX; performance.now() < endMs;) {
      if (await accepts(this.port)) return;
      await delay(POLL_MS);
    }
    throw new Error(`Cannot start the broker: it takes no connection in ${START_MS_MAX} ms`);
  }
}

function programOf(name: BrokerName): string {
  const program = PROGRAMS[name];
  const found = pathOf(program);
  if (found !== undefined) return found;
  // Its words are for people, and stdout is the screen's.
  spawnSync("node", [SETUP, "--brokers", program], { stdio: ["ignore", 2, 2] });
  const installed = pathOf(program);
  if (installed !== undefined) return installed;
  throw new Error(`Cannot start ${program}: it is not installed`);
}

function pathOf(program: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), ...SERVER_FOLDERS];
  return folders
    .map((folder) => join(folder, program))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

async function freePort(): Promise<number> {
  const server = createServer().listen({ port: 0, host: HOST });
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function accepts(port: number): Promise<boolean> {
  const socket = createConnection({ host: HOST, port });
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
