/**
 * The store at the broker: a bucket with the records of entities (`messages.ts`), another one of
 * who is due (`reminders.ts`), and one of who was deleted (`deletions.ts`). The latter two are
 * written first, so that nobody is left out.
 *
 * - **Compare-and-set** is a publication that the broker takes only after the message that has the
 *   expected version. Which one that is, and under which fence it was written, this node knows
 *   since it has read or written it, or else it reads first. Whoever writes under a higher fence
 *   meanwhile writes another message; so the broker need not compare fences.
 * - **Unknown outcomes** are asked for again under the same operation, which the broker recognises,
 *   or the record shows.
 * - **What is kept** is bounded. Records: one for each entity; of deleted ones for their time,
 *   whatever types there are now. Deletions: one for each entity, as long. Reminders, and what this
 *   node remembers: see those files.
 */
import { jetstream, type JetStreamManager } from "@nats-io/jetstream";
import { CatgaError, describeError, isCatgaError } from "../../base/errors.ts";
import { FORGET_EVERY_MS } from "../../base/limits.ts";
import type {
  DueEntity,
  Store,
  StoredRecord,
  StoreKey,
  StorePage,
  StoreResult,
  StoreWrite,
} from "../../ports/store.ts";
import { Asking, Gate, transferMsOf } from "../broker/asking.ts";
import * as records from "../broker/record.ts";
import { watch } from "./connection.ts";
import { Deletions, type Remove } from "./deletions.ts";
import { type Known, Messages, saidOf, type Saying } from "./messages.ts";
import { Reminders } from "./reminders.ts";
import { Room } from "./room.ts";
import { ANSWER_MS, type NatsStoreParts, openBuckets } from "./store-buckets.ts";
import { isVerdict, verdictOf } from "./stream.ts";

/** What a write may replace, or what has become of it already. */
type Place = { readonly known: Known } | { readonly result: StoreResult };

/** How a batch is tried. */
interface Attempt {
  /** True when an earlier try may have been carried out. */
  readonly wasSent: boolean;
  readonly timeoutMs: number;
}

/** A broker may take more, and then lets others wait. */
const BYTES_MAX = 8 * 1_048_576;
/** Questions of each kind at a time; a tenth of what a server answers in that time. */
const READS_MAX = 128;
/** See {@link READS_MAX}. */
const WRITES_MAX = 512;
/** Headers, and the lines before the data, take less. */
const HEAD_BYTES = 4_096;

/** See the file's header. */
export class NatsStore implements Store {
  readonly identity: string;
  readonly bytesMax: number;
  readonly #parts: NatsStoreParts;
  readonly #asking: Asking;
  readonly #messages: Messages;
  readonly #reminders: Reminders;
  readonly #deletions: Deletions;
  readonly #room: Room;
  #forgetAtMs = 0;
  readonly #underWay = new Set<(error: Error) => void>();
  #isUp = true;

  private constructor(parts: NatsStoreParts, manager: JetStreamManager, identity: string) {
    const { client, clock, address } = parts.connection;
    this.identity = identity;
    this.bytesMax = Math.min(BYTES_MAX, (client.info?.max_payload ?? BYTES_MAX) - HEAD_BYTES);
    this.#parts = parts;
    const mayPass = (error: unknown): boolean => !isVerdict(error) && !client.isClosed();
    this.#asking = new Asking({ store: `NATS at ${address}`, clock, mayPass });
    const [reading, writing] = [new Gate(READS_MAX), new Gate(WRITES_MAX)];
    const js = jetstream(client, { timeout: ANSWER_MS });
    const life = (): string => this.#life();
    const asked = { jetstream: js, manager, client, clock, reading, writing, life };
    this.#messages = new Messages(parts.buckets.records, asked);
    this.#reminders = new Reminders(parts.buckets.reminders, asked);
    this.#room = new Room(manager, clock);
    this.#deletions = new Deletions(parts.buckets.deletions, asked);
    const cut = (): void => {
      this.#isUp = false;
      for (const fail of this.#underWay) fail(new Error("the connection was lost"));
    };
    watch(parts.connection, { up: () => void (this.#isUp = true), down: cut, closed: cut });
  }

  /**
   * Opens it; its buckets are made when there are none.
   *
   * @throws {CatgaError} SETTINGS_DIFFER, BROKER_LACKS, BROKER_TOO_OLD, BROKER_UNREACHABLE
   */
  static async open(parts: NatsStoreParts): Promise<NatsStore> {
    const { connection } = parts;
    const { client, address, isOwn } = connection;
    try {
      const manager = await jetstream(client, { timeout: ANSWER_MS }).jetstreamManager(false);
      return new NatsStore(parts, manager, await openBuckets(manager, parts));
    } catch (error) {
      if (isOwn) await client.close();
      const verdict = verdictOf(error, connection);
      if (isCatgaError(verdict)) throw verdict;
      const details = { address, reason: describeError(error).text };
      throw new CatgaError("BROKER_UNREACHABLE", details, { cause: error });
    }
  }

  load(key: StoreKey): Promise<StoredRecord | undefined> {
    return this.#ask(async () => records.storedOf(await this.#messages.read(key)));
  }

  async write(writes: readonly StoreWrite[]): Promise<StoreResult[]> {
    const { connection, random } = this.#parts;
    const world = { clock: connection.clock, random };
    const batches = records.batchesOf(records.plansOf(writes, world, this.bytesMax));
    return this.#asking.during(async () => {
      const results: StoreResult[] = [];
      for (const batch of batches) {
        const work = (): Promise<StoreResult[]> => this.#unlessCut(() => this.#write(batch));
        results.push(...(await this.#asking.persist(work)));
      }
      return results;
    });
  }

  due(where: Omit<StoreKey, "id">, untilMs: number, limit: number): Promise<DueEntity[]> {
    const nowMs = this.#parts.connection.clock.nowMs();
    if (nowMs >= this.#forgetAtMs) {
      this.#forgetAtMs = nowMs + FORGET_EVERY_MS;
      this.#asking.beside(this.#forget());
    }
    const read = (id: string): Promise<records.BrokerRecord | undefined> =>
      this.#messages.read({ ...where, id });
    return this.#ask(() => this.#reminders.due(where, { untilMs, limit }, read));
  }

  page(after?: string): Promise<StorePage> {
    return this.#ask(() => this.#messages.page(Number(after ?? 0)));
  }

  async close(): Promise<void> {
    const { client, isOwn } = this.#parts.connection;
    await this.#asking.close();
    if (isOwn) await client.close();
  }

  async #write(batch: records.Batch): Promise<StoreResult[]> {
    const { plans, wasSent } = batch;
    if (await this.#room.isFull()) {
      throw this.#asking.unavailable(new Error("its account is nearly full"));
    }
    const life = this.#life();
    const places = await Promise.all(plans.map((plan) => this.#placeOf(plan, wasSent)));
    const isNews = plans.map(({ write: { dueMs } }, i) => {
      const place = places[i]!;
      return "known" in place && dueMs !== undefined && dueMs !== place.known.dueMs;
    });
    const ends = plans.filter(({ write }, i) => "known" in places[i]! && write.data === undefined);
    const [said] = await Promise.all([
      Promise.all(plans.map(async (plan, i) => isNews[i] && this.#reminders.set(plan))),
      Promise.all(ends.map(({ write }) => this.#deletions.add(write))),
    ]);
    if (life !== this.#life()) throw new Error("the connection was lost meanwhile");
    const bytes = plans.reduce((sum, { write }) => sum + (write.data?.length ?? 0), 0);
    const attempt = { wasSent, timeoutMs: ANSWER_MS + transferMsOf(bytes) };
    batch.wasSent = true;
    const work = plans.map(async (plan, i) => {
      const place = places[i]!;
      if ("result" in place) return place.result;
      return this.#put({ ...plan, ...saidOf(plan, place.known, said[i]!) }, place.known, attempt);
    });
    return Promise.all(work);
  }

  /** What `plan` may replace; read when this node does not know it. */
  async #placeOf(plan: records.Plan, wasSent: boolean): Promise<Place> {
    const known = this.#messages.replaced(plan.write);
    if (known !== undefined) return { known };
    const found = await this.#messages.read(plan.write);
    const { expected, fence } = plan.write;
    if (found?.version === expected && found.fence <= fence) return { known: found };
    return { result: this.#end(plan, found, wasSent) };
  }

  async #put(
    plan: records.Plan & Saying,
    before: Known,
    { wasSent, timeoutMs }: Attempt,
  ): Promise<StoreResult> {
    const { write, version, operation, dueVersion, dueSequence } = plan;
    const life = this.#life();
    const text = records.textOfRecord(plan, dueVersion);
    const after = { version, fence: write.fence, dueMs: write.dueMs, dueVersion, dueSequence };
    const publication = { text, operation, before, after, timeoutMs };
    if (!(await this.#messages.publish(write, publication))) {
      return this.#end(plan, await this.#messages.read(write), wasSent);
    }
    const { dueMs, dueVersion: since, dueSequence: sequence } = before;
    if (dueMs !== undefined && since !== undefined && since !== dueVersion) {
      this.#asking.beside(this.#reminders.remove(write, { dueMs, version: since, sequence, life }));
    }
    return { ok: true, version };
  }

  #end(plan: records.Plan, found: records.BrokerRecord | undefined, wasSent: boolean): StoreResult {
    const result = records.resultOf(plan, found, wasSent);
    if (result === undefined) throw this.#asking.unavailable(new Error(records.IN_DOUBT));
    return result;
  }

  /** Forgets all deletions whose time is over, a few at a time. */
  async #forget(): Promise<void> {
    const remove: Remove = (key, untilMs) => this.#messages.forget(key, untilMs);
    const step = (from: number): Promise<number | undefined> =>
      this.#ask(() => this.#deletions.forget(from, remove));
    for (let from: number | undefined = 1; from !== undefined;) from = await step(from);
  }

  /** Which connection there is. */
  #life(): string {
    const { info } = this.#parts.connection.client;
    if (!this.#isUp) throw new Error("the connection is down");
    return `${info?.server_id}.${info?.client_id}`;
  }

  #ask<T>(work: () => Promise<T>): Promise<T> {
    return this.#asking.ask(() => this.#unlessCut(work));
  }

  #unlessCut<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#underWay.add(reject);
      const end = (): void => void this.#underWay.delete(reject);
      work().finally(end).then(resolve, reject);
    });
  }
}
