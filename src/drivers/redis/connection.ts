/**
 * One connection to the server, from its opening to its end; it never comes back. Every command on
 * it is answered, or rejects when the connection ends, and the connection ends when an answer takes
 * too long: a peer that went away without a word is not waited for.
 */
import type { Redis } from "ioredis";
import type { Clock } from "../../base/clock.ts";
import { type Access, refusalOf } from "./access.ts";

/** A command's arguments. */
export type Argument = string | number | Buffer;

/** See the file's header. */
export class Connection {
  /** For what only the library's own interface offers: subscriptions. */
  readonly client: Redis;
  readonly #clock: Clock;
  readonly #answerMs: number;
  readonly #waiting = new Set<(error: Error) => void>();
  #ended: Error | undefined;
  #onEnd: (error: Error) => void = () => {};

  private constructor(client: Redis, clock: Clock, answerMs: number) {
    this.client = client;
    this.#clock = clock;
    this.#answerMs = answerMs;
  }

  /**
   * Connects, and says who asks; what takes longer than `answerMs` to answer ends it later.
   *
   * @throws {CatgaError} BROKER_UNREACHABLE, BROKER_REFUSED, MISSING_PACKAGE
   */
  static async open(access: Access, clock: Clock, answerMs: number): Promise<Connection> {
    const client = await access.makeClient();
    const connection = new Connection(client, clock, answerMs);
    // The promise of connect() says only that the connection is closed; the reason comes by event.
    let cause: Error | undefined;
    client.on("error", (error: Error) => (cause ??= error));
    client.on("end", () => connection.end(cause ?? new Error("the server closed the connection")));
    try {
      await client.connect();
    } catch (error) {
      connection.end(cause ?? (error as Error));
      throw refusalOf(cause ?? error, access.address);
    }
    return connection;
  }

  /** `run` hears of the end, at once if it is over; only the last one given does. */
  onEnd(run: (error: Error) => void): void {
    this.#onEnd = run;
    if (this.#ended !== undefined) run(this.#ended);
  }

  /** Sends a command once; `blockMs` is what the server may take of its own accord. */
  call(command: string, args: readonly Argument[], blockMs = 0): Promise<unknown> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return this.within(this.client.call(command, ...args), blockMs);
  }

  /** What becomes of `work`, unless the connection ends first, as it does when `work` takes long. */
  within<T>(work: Promise<T>, blockMs = 0): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        cancel();
        this.#waiting.delete(fail);
      };
      const fail = (error: Error): void => {
        settle();
        reject(error);
      };
      const cancel = this.#clock.after(this.#answerMs + blockMs, () => {
        // Who was kept from its event loop reads first what came in.
        this.#clock.yield(() => {
          if (this.#waiting.has(fail)) this.end(new Error(`no answer in ${this.#answerMs} ms`));
        });
      });
      this.#waiting.add(fail);
      work.then((value) => {
        settle();
        resolve(value);
      }, fail);
    });
  }

  /** Ends it, whatever is under way. Twice is fine. */
  end(error: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.client.disconnect();
    for (const fail of this.#waiting) fail(error);
    this.#onEnd(error);
  }
}
