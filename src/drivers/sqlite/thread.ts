/**
 * The thread of a store: it carries out orders on the file, so that neither a disk that is slow to
 * write, nor the take-over of the log, nor a lock of another process holds up the node.
 *
 * All writes that have come while a transaction was under way go together in the next one: they
 * share its cost, above all that of waiting for the disk. Reads go in between. A lock is not waited
 * for in SQLite, which would hold up reads: it is tried again, up to a limit.
 */
import { parentPort, workerData } from "node:worker_threads";
import { type Backoff, backoffMs } from "../../base/backoff.ts";
import { systemClock } from "../../base/clock.ts";
import { describeError, isCatgaError } from "../../base/errors.ts";
import { systemRandom } from "../../base/random.ts";
import type { StoreWrite } from "../../ports/store.ts";
import { Database, isLocked } from "./database.ts";
import { type Answer, type Order, type Place, writesOf, type Written } from "./order.ts";

/** A lock that is held for longer belongs to somebody who hangs: callers have 10 s by default. */
const LOCKED_MS_MAX = 5_000;
/** Locks are held for a fraction of a millisecond, or while a disk is written to. */
const LOCK_RETRY: Backoff = { firstMs: 1, longestMs: 16 };
/** Writes of one transaction, so that other processes get in between: some 10 ms. */
const TRANSACTION_WRITES_MAX = 1_000;

/** Writes that are answered together. */
interface Job {
  readonly number: number;
  readonly writes: readonly StoreWrite[];
  readonly nowMs: number;
}

/** The file while it is open, and what is under way. */
class Desk {
  readonly #database: Database;
  /** What must have ended before the file is closed; none of it rejects. */
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #jobs: Job[] = [];
  #isWriting = false;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Carries an order out, and answers it some time. */
  take({ number, work }: Order): void {
    if (work.kind === "write") {
      this.#jobs.push({ number, writes: writesOf(work.writes), nowMs: work.nowMs });
      if (!this.#isWriting) this.#track(this.#writeAll());
    } else if (work.kind === "close") {
      const ended = Promise.all(this.#underWay);
      this.#track(answer(number, () => ended.then(() => this.#database.close())));
    } else if (work.kind === "forget") {
      this.#track(answer(number, () => patiently(() => this.#database.forget(work.nowMs))));
    } else {
      this.#track(answer(number, () => patiently(() => this.#database.read(work))));
    }
  }

  #track(running: Promise<void>): void {
    const tracked: Promise<unknown> = running.finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    while (this.#jobs.length > 0) {
      // What has come by now comes in first.
      await new Promise<void>((resolve) => systemClock.yield(resolve));
      await this.#writeTogether(this.#nextJobs());
      this.#database.tidyLog();
    }
    this.#isWriting = false;
  }

  #nextJobs(): readonly Job[] {
    let writes = 0;
    const isBeyond = (job: Job): boolean => (writes += job.writes.length) > TRANSACTION_WRITES_MAX;
    const first = this.#jobs.findIndex(isBeyond);
    return this.#jobs.splice(0, first === -1 ? this.#jobs.length : Math.max(1, first));
  }

  async #writeTogether(group: readonly Job[]): Promise<void> {
    const carryOut = (): Written[][] =>
      group.map(({ writes, nowMs }) => writes.map((each) => this.#write(each, nowMs)));
    try {
      const values = await patiently(() => this.#database.transaction(carryOut));
      say(group.map(({ number }, i) => ({ number, value: values[i] })));
    } catch (error) {
      if (group.length === 1 || isLocked(error)) {
        say(group.map(({ number }) => failure(number, error)));
      } else {
        // Of all of them nothing was done. One may have met a part that is damaged: others go on.
        for (const job of group) await this.#writeTogether([job]);
      }
    }
  }

  #write(write: StoreWrite, nowMs: number): Written {
    const result = this.#database.write(write, nowMs);
    return result.ok ? result.version : result;
  }
}

await answer(0, async () => {
  const database = await patiently(() => new Database(workerData as Place));
  const desk = new Desk(database);
  parentPort!.on("message", (orders: readonly Order[]) => {
    for (const order of orders) desk.take(order);
  });
  return database.identity;
});

/** Runs what is refused while somebody else has a lock, until it is not. */
async function patiently<T>(run: () => T): Promise<T> {
  const untilMs = systemClock.nowMs() + LOCKED_MS_MAX;
  for (let tries = 0; ; tries++) {
    try {
      return run();
    } catch (error) {
      if (!isLocked(error) || systemClock.nowMs() > untilMs) throw error;
    }
    const delayMs = backoffMs(tries, LOCK_RETRY, systemRandom);
    await new Promise<void>((resolve) => systemClock.after(delayMs, resolve));
  }
}

async function answer(number: number, run: () => Promise<unknown>): Promise<void> {
  try {
    say([{ number, value: await run() }]);
  } catch (error) {
    say([failure(number, error)]);
  }
}

function failure(number: number, error: unknown): Answer {
  if (isCatgaError(error)) return { number, code: error.code, details: error.details };
  return { number, reason: describeError(error).text };
}

function say(answers: readonly Answer[]): void {
  parentPort!.postMessage(answers, []);
}
