/**
 * A node's way to the server: one connection for commands, and one that listens, to a channel or
 * to a stream. They live and die together, and never come back. Every command is answered, or
 * rejects when the connection ends; and it ends when an answer takes too long: a peer that went
 * away without a word is not waited for.
 */
import type { Redis } from "ioredis";
import { checkAge } from "../tcp/exposure.ts";
import { type Backoff, backoffMs } from "../../base/backoff.ts";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { Random } from "../../base/random.ts";
import { CatgaError } from "../../base/errors.ts";
import { type Access, refusalOf } from "./access.ts";

/** What connections are made with. */
export interface Dialer {
  readonly access: Access;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** As in `DriverContext`. */
  readonly unsafe: (what: string) => void;
}

type Open = () => Promise<void>;

/** Older ones lack commands that catga uses, and care. */
const MINIMUM = "6.2";
/** What it costs that a server keeps nothing on disk. */
const FORGETS = {
  authority: "forgets what it acknowledged when it dies, and all entities in memory end then",
  store: "forgets the stored state of entities when it dies, all since its last snapshot",
} as const;
const LATE = "answers before its disk has a write, and may forget the last ones when it dies";
const EVICTS = "may drop records when its memory is short: set maxmemory-policy noeviction";
/** Waits before a connection is opened anew: a server that comes back has much to do. */
const REOPEN: Backoff = { firstMs: 40, longestMs: 500 };
/** One failure of so many is said: one in some ten seconds. */
const SAID_TRIES = 25;

/** See the file's header. */
export class Connection {
  readonly listening: Redis;
  readonly commanding: Redis;
  readonly #clock: Clock;
  readonly #answerMs: number;
  readonly #waiting = new Set<(error: Error) => void>();
  #ended: Error | undefined;
  #onEnd: (error: Error) => void = () => {};

  private constructor([commanding, listening]: readonly Redis[], clock: Clock, answerMs: number) {
    this.commanding = commanding!;
    this.listening = listening ?? commanding!;
    this.#clock = clock;
    this.#answerMs = answerMs;
  }

  /**
   * Connects, and says who asks; what takes longer than `answerMs` to answer ends it later.
   *
   * @throws {CatgaError} BROKER_UNREACHABLE, BROKER_REFUSED, MISSING_PACKAGE
   */
  static async open(
    { access, clock }: Dialer,
    answerMs: number,
    listens: "listens" | "is silent" = "listens",
  ): Promise<Connection> {
    const clients = [await access.makeClient()];
    if (listens === "listens") clients.push(await access.makeClient());
    const connection = new Connection(clients, clock, answerMs);
    // The promise of connect() says only that the connection is closed; the reason comes by event.
    let cause: Error | undefined;
    for (const client of clients) {
      client.on("error", (error: Error & { command?: unknown }) => {
        // Of a login that was refused it holds the password, for whoever shows the cause.
        delete error.command;
        cause ??= error;
      });
      client.on("end", () => connection.end(cause ?? new Error("the server hung up")));
    }
    try {
      await Promise.all(clients.map((client) => client.connect()));
      // Who must log in and did not is told so by the first command.
      await connection.call("PING");
    } catch (error) {
      connection.end(cause ?? (error as Error));
      throw refusalOf(cause ?? error, access.address);
    }
    return connection;
  }

  /** True when it is over. */
  get isEnded(): boolean {
    return this.#ended !== undefined;
  }

  /** Sends a command once. */
  call(command: string, ...args: readonly (string | number | Buffer)[]): Promise<unknown> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return this.within(this.commanding.call(command, ...args));
  }

  /** What becomes of `work`, unless the connection ends first, as it does when that takes long. */
  within<T>(work: Promise<T>, moreMs = 0): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(this.#answerMs + moreMs, () => {
        // Who was kept from its event loop reads first what came in.
        this.#clock.yield(() => {
          if (this.#waiting.has(reject)) this.end(new Error(`no answer in ${this.#answerMs} ms`));
        });
      });
      this.#waiting.add(reject);
      const settle = (): void => {
        cancel();
        this.#waiting.delete(reject);
      };
      work.finally(settle).then(resolve, reject);
    });
  }

  /** Ends it, whatever is under way. Twice is fine. */
  end(error: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.commanding.disconnect();
    this.listening.disconnect();
    for (const reject of this.#waiting) reject(error);
    this.#waiting.clear();
    this.#onEnd(error);
  }

  /** Once this one has ended, calls `open` until it succeeds, as long as that is wanted. */
  follow({ access, clock, log, random }: Dialer, isWanted: () => boolean, open: Open): void {
    const attempt = (tries: number): void => {
      clock.after(backoffMs(tries, REOPEN, random), () => {
        if (!isWanted()) return;
        open().catch((failure: unknown) => {
          const error = refusalOf(failure, access.address);
          if (tries % SAID_TRIES === SAID_TRIES - 1)
            log.error({ err: error }, "Redis is still away");
          attempt(tries + 1);
        });
      });
    };
    this.#onEnd = (error) => {
      if (isWanted()) log.warn({ err: error }, "a connection to Redis ended, it is opened anew");
      attempt(0);
    };
    if (this.#ended !== undefined) this.#onEnd(this.#ended);
  }

  /**
   * Looks at a server before it is used: what would fail later is an error, what may cost data or
   * secrets is a line of the log. Resolves to which start of the server it is. A user may lack the
   * right to ask; then nothing is said.
   *
   * @throws {CatgaError} BROKER_TOO_OLD, BROKER_READ_ONLY
   */
  async inspect({ access, unsafe }: Dialer, port: keyof typeof FORGETS): Promise<string> {
    const { address } = access;
    const info = await this.call("INFO").catch((error: Error) => {
      if (error.message.startsWith("NOPERM")) return "";
      throw error;
    });
    const lines = String(info).matchAll(/^(\w+):(.*?)\r?$/gm);
    const facts = new Map(Array.from(lines, ([, name = "", value = ""]) => [name, value]));
    const version = facts.get("redis_version") ?? MINIMUM;
    checkAge(`Redis ${version} at ${address}`, version, [MINIMUM, "join"]);
    if (facts.get("role") === "slave") throw new CatgaError("BROKER_READ_ONLY", { address });
    const evicts = !["noeviction", undefined].includes(facts.get("maxmemory_policy"));
    const say = (what: string): void => unsafe(`Redis at ${address} ${what}`);
    if (facts.get("aof_enabled") === "0") say(`${FORGETS[port]}: set appendonly yes`);
    else if (port === "store" && (await this.#isLate())) say(`${LATE}: set appendfsync always`);
    if (evicts && facts.get("maxmemory") !== "0") say(EVICTS);
    return facts.get("run_id") ?? "";
  }

  /** False as well where that may not be asked. */
  async #isLate(): Promise<boolean> {
    const asked = this.call("CONFIG", "GET", "appendfsync").catch(() => []);
    const [, value = "always"] = (await asked) as readonly string[];
    return value !== "always";
  }
}
