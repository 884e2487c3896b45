/**
 * The node's side of a store whose work is done by a thread. When that fails, what it was asked is
 * unknown, as if the disk had not answered, and another one opens the file for whoever asks next.
 */
import { URL } from "node:url";
import { Worker } from "node:worker_threads";
import type { Clock } from "../../base/clock.ts";
import { CatgaError, type ErrorDetails } from "../../base/errors.ts";
import { FORGET_EVERY_MS } from "../../base/limits.ts";
import { runtimeOf } from "../../base/runtime.ts";
import type { Store, StoreKey, StorePage, StoreWrite } from "../../ports/store.ts";
import type { DueEntity, StoredRecord, StoreResult } from "../../ports/store.ts";
import { checkSizes } from "../../protocol/state-size.ts";
import { type Answer, columnsOf, type Order, type Place, type Work } from "./order.ts";
import type { Written } from "./order.ts";

/** A record far beyond what an entity may be, and far below what SQLite takes. */
const BYTES_MAX = 8 * 1_048_576;

interface Waiting {
  resolve(value: never): void;
  reject(error: unknown): void;
}

/** See the file's header. */
export class ThreadStore implements Store {
  identity = "";
  readonly bytesMax: number = BYTES_MAX;
  readonly #place: Place;
  readonly #clock: Clock;
  #thread: Worker | undefined;
  readonly #waiting = new Map<number, Waiting>();
  #outbox: Order[] = [];
  /** 0 is the opening. */
  #number = 0;
  #isClosed = false;
  #closing: Promise<void> | undefined;
  #forgetAtMs = 0;

  private constructor(place: Place, clock: Clock) {
    this.#place = place;
    this.#clock = clock;
    this.#thread = this.#start();
  }

  /**
   * Opens the file of `place`.
   *
   * @throws {CatgaError} SETTINGS_DIFFER, STORE_UNAVAILABLE
   */
  static async open(place: Place, clock: Clock): Promise<Store> {
    const store = new ThreadStore(place, clock);
    try {
      store.identity = await new Promise<string>((resolve, reject) => {
        store.#waiting.set(0, { resolve, reject });
      });
      return store;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  load(key: StoreKey): Promise<StoredRecord | undefined> {
    return this.#ask({ kind: "load", key });
  }

  async write(writes: readonly StoreWrite[]): Promise<StoreResult[]> {
    checkSizes(writes, BYTES_MAX);
    const columns = columnsOf(writes);
    const nowMs = this.#clock.wallMs();
    const asked = this.#ask<readonly Written[]>({ kind: "write", writes: columns, nowMs });
    // They are many already: the thread begins while more is prepared here.
    this.#send();
    const results = await asked;
    return results.map((each) => (typeof each === "number" ? { ok: true, version: each } : each));
  }

  due(where: Omit<StoreKey, "id">, untilMs: number, limit: number): Promise<DueEntity[]> {
    const nowMs = this.#clock.nowMs();
    if (nowMs >= this.#forgetAtMs) {
      this.#forgetAtMs = nowMs + FORGET_EVERY_MS;
      this.#forget();
    }
    return this.#ask({ kind: "due", where, untilMs, limit });
  }

  page(after?: string): Promise<StorePage> {
    return this.#ask({ kind: "page", after });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Forgets deletions whose time is over, step by step; what fails is left for the next time. */
  #forget(): void {
    this.#ask<boolean>({ kind: "forget", nowMs: this.#clock.wallMs() }).then(
      (isMore) => isMore && this.#forget(),
      () => {},
    );
  }

  async #close(): Promise<void> {
    // A thread that has failed has closed its file as well.
    const closed = this.#thread && this.#ask({ kind: "close" });
    this.#isClosed = true;
    await Promise.allSettled([closed]);
    await this.#thread?.terminate();
  }

  #start(): Worker {
    const thread = new Worker(scriptOf(import.meta.url), {
      workerData: this.#place,
      // Node.js 22 would say on the screen that its SQLite is new; others know no such flag.
      ...(runtimeOf().name === "node" && { execArgv: ["--disable-warning=ExperimentalWarning"] }),
    });
    thread.on("message", (answers: readonly Answer[]) => {
      for (const answer of answers) this.#settle(answer);
    });
    thread.on("error", (error: Error) => this.#end(thread, `its thread failed: ${error.message}`));
    thread.on("exit", () => this.#end(thread, "its thread has ended"));
    return thread;
  }

  /** What is asked for in one burst goes to the thread as one message. */
  #ask<T>(work: Work): Promise<T> {
    if (this.#isClosed) return Promise.reject(this.#unavailable("it is closed"));
    this.#thread ??= this.#start();
    if (this.#outbox.length === 0) queueMicrotask(() => this.#send());
    const number = ++this.#number;
    this.#outbox.push({ number, work });
    return new Promise<T>((resolve, reject) => this.#waiting.set(number, { resolve, reject }));
  }

  #send(): void {
    const orders = this.#outbox;
    if (orders.length === 0) return;
    this.#outbox = [];
    this.#thread?.postMessage(orders, []);
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.number);
    this.#waiting.delete(answer.number);
    if ("value" in answer) waiting?.resolve(answer.value as never);
    else waiting?.reject(this.#errorOf(answer));
  }

  #end(thread: Worker, reason: string): void {
    if (thread !== this.#thread) return;
    this.#thread = undefined;
    this.#outbox = [];
    for (const waiting of this.#waiting.values()) waiting.reject(this.#unavailable(reason));
    this.#waiting.clear();
  }

  #errorOf(answer: Exclude<Answer, { readonly value: unknown }>): CatgaError {
    if ("reason" in answer) return this.#unavailable(answer.reason);
    return new CatgaError(answer.code, answer.details as ErrorDetails[typeof answer.code]);
  }

  #unavailable(reason: string): CatgaError {
    return new CatgaError("STORE_UNAVAILABLE", { store: `SQLite at ${this.#place.file}`, reason });
  }
}

/** The thread's file beside `module`: JavaScript as the package is built, TypeScript as it is. */
function scriptOf(module: string): URL {
  const file = new URL(module.endsWith(".ts") ? "./thread.ts" : "./thread.js", module);
  if (file.protocol === "file:") return file;
  // Deno runs packages of JSR from their addresses, where threads may not start.
  const text = encodeURIComponent(`import ${JSON.stringify(file.href)};`);
  return new URL(`data:text/javascript,${text}`);
}
