/**
 * The bucket of a cluster: a JetStream key-value bucket that keeps one value per key, in files, and
 * tells every change on a core subject, with the number of the change.
 *
 * The client of `@nats-io/kv` is not used, because its `update` carries no message id, without
 * which an operation cannot be asked about; and its `get` may answer from a replica that lags. Nor
 * are the client's own consumers, which mend themselves for longer than a lease, unseen. The bucket
 * is one that `nats kv` can read.
 */
import { AckPolicy, DeliverPolicy, jetstream } from "@nats-io/jetstream";
import type { JetStreamClient, JetStreamManager } from "@nats-io/jetstream";
import type { StreamConfig } from "@nats-io/jetstream";
import { createInbox, type Msg, nanos } from "@nats-io/transport-node";
import { type CasResult, type Change, type Entry, isEntry } from "../../protocol/ledger.ts";
import { type Connection, within } from "./connection.ts";
import {
  checkStream,
  essentialsOf,
  isNotFound,
  isWrongSequence,
  makeStream,
  verdictOf,
} from "./stream.ts";
import { bucketKey, type Names } from "./subject.ts";

/** What a bucket is made with, and how it is reached. */
export interface BucketOptions {
  readonly connection: Connection;
  readonly names: Names;
  /** Undefined takes an existing bucket as it is, and makes a new one with 1. */
  readonly replicas: number | undefined;
}

/** Which bucket it is, and how far it has come. */
export interface BucketState {
  /** When it was made, in milliseconds, unless a later one has begun in it since. */
  readonly generation: number;
  readonly revision: number;
  /** How many records there are, and some more. */
  readonly count: number;
}

const ADMIN_TIMEOUT_MS = 2_000;
/** Sessions that are over stay, so there may be thousands of records. */
const RECORD_MS = 1;
/** A consumer that nobody reads any more goes by itself. */
const CONSUMER_IDLE_MS = 2_000;
/** No record has these keys. */
const OPENED = "opened";
const BEGUN = "begun";

/** See the file's header. */
export class Bucket {
  readonly #options: BucketOptions;
  readonly #jetstream: JetStreamClient;
  #manager: JetStreamManager | undefined;

  constructor(options: BucketOptions) {
    this.#options = options;
    this.#jetstream = jetstream(options.connection.client, { timeout: ADMIN_TIMEOUT_MS });
  }

  /**
   * Finds the bucket; `undefined` when there is none, unless `orMake` says to make it then.
   *
   * @throws {CatgaError} BROKER_LACKS, BROKER_TOO_OLD, SETTINGS_DIFFER; other errors may pass
   */
  async find(orMake?: "make"): Promise<BucketState | undefined> {
    try {
      return await this.#find();
    } catch (error) {
      if (!isNotFound(error)) throw verdictOf(error, this.#options.connection);
      if (orMake === undefined) return undefined;
      await makeStream(this.#manager!, this.#options.connection, this.#wanted());
      return this.find();
    }
  }

  /** Begins another generation, in which nothing is known, and says which; all who listen hear. */
  async begin(generation: number): Promise<void> {
    await this.#jetstream.publish(this.#subject(bucketKey(generation, BEGUN)));
  }

  /** True when somebody has said that nobody acts under what was there before. */
  async isOpened(generation: number): Promise<boolean> {
    const mark = await this.#read(bucketKey(generation, OPENED));
    return mark !== undefined && new TextDecoder().decode(mark.data) === this.#life;
  }

  /** Says so. */
  async markOpened(generation: number): Promise<void> {
    await this.#jetstream.publish(this.#subject(bucketKey(generation, OPENED)), this.#life);
  }

  /** Resolves once the outcome is known; rejects when it is not. */
  async cas(
    { expected, ...content }: Change,
    generation: number,
    timeoutMs: number,
  ): Promise<CasResult> {
    const key = bucketKey(generation, content.key);
    try {
      const { seq } = await this.#jetstream.publish(this.#subject(key), JSON.stringify(content), {
        msgID: content.operation,
        expect: { lastSubjectSequence: expected },
        timeout: timeoutMs,
      });
      return { ok: true, revision: seq };
    } catch (error) {
      if (!isWrongSequence(error)) throw error;
    }
    const message = await this.#read(key);
    const current = message && entryOf(message.data, message.seq);
    if (current?.operation !== content.operation) return { ok: false, current };
    return { ok: true, revision: current.revision };
  }

  /** The records as they stand, each at the latest revision that this walk met. */
  async records({ generation, count }: BucketState): Promise<Entry[]> {
    const { connection, names } = this.#options;
    const inbox = createInbox();
    const subscription = connection.client.subscribe(inbox);
    const consumer = this.#manager!.consumers.add(names.stream, {
      deliver_subject: inbox,
      deliver_policy: DeliverPolicy.LastPerSubject,
      ack_policy: AckPolicy.None,
      filter_subject: this.#subject(`${generation}.>`),
      inactive_threshold: nanos(CONSUMER_IDLE_MS),
      mem_storage: true,
    });
    const walk = Promise.all([entriesOf(subscription), consumer]);
    try {
      return (await within(connection, ADMIN_TIMEOUT_MS + count * RECORD_MS, walk))[0];
    } finally {
      subscription.unsubscribe();
    }
  }

  #subject(key: string): string {
    return `$KV.${this.#options.names.bucket}.${key}`;
  }

  async #read(key: string): Promise<{ data: Uint8Array; seq: number } | undefined> {
    const query = { last_by_subj: this.#subject(key) };
    const stream = this.#options.names.stream;
    return (await this.#manager!.streams.getMessage(stream, query)) ?? undefined;
  }

  /**
   * What the server forgets it forgets when it starts: what was said in one life of it holds in no
   * other. Servers of a cluster that keep replicas start one by one, and forget nothing.
   */
  get #life(): string {
    const { server_id: life, cluster } = this.#options.connection.client.info ?? {};
    return `${cluster ?? life}`;
  }

  async #find(): Promise<BucketState> {
    this.#manager ??= await this.#jetstream.jetstreamManager(false);
    const begun = { subjects_filter: this.#subject(`*.${BEGUN}`) };
    const { streams } = this.#manager;
    const { created, config, state } = await streams.info(this.#options.names.stream, begun);
    checkStream(this.#options.connection, config, this.#wanted(config));
    const later = Object.keys(state.subjects ?? {}).map((subject) => {
      return Number.parseInt(subject.slice(this.#subject("").length), 10);
    });
    const generation = Math.max(Date.parse(created), ...later);
    return { generation, revision: state.last_seq, count: state.messages };
  }

  /** What the bucket must be like, whoever made it. */
  #wanted(found?: StreamConfig): Partial<StreamConfig> {
    const { names, replicas = found?.num_replicas ?? 1 } = this.#options;
    return {
      ...essentialsOf(names.bucket, replicas),
      republish: { src: this.#subject(">"), dest: `${names.feed}>` },
    };
  }
}

/** The entry of a value of the bucket; `undefined` for what no node has written. */
export function entryOf(value: Uint8Array, revision: number): Entry | undefined {
  try {
    const entry: unknown = { ...JSON.parse(new TextDecoder().decode(value)), revision };
    return isEntry(entry) ? entry : undefined;
  } catch {
    // Somebody has written or deleted by hand: for a node there is no record there.
    return undefined;
  }
}

/** What a consumer delivers, up to the last that was there. */
async function entriesOf(messages: AsyncIterable<Msg>): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const { reply = "", data } of messages) {
    // The revision and how many come after it stand in the reply subject, before the time and
    // after it, in a form with 9 tokens and one with more (ADR-15 of NATS).
    const tokens = reply.split(".");
    const at = tokens.length === 9 ? 5 : 7;
    const entry = entryOf(data, Number(tokens[at]));
    if (entry !== undefined) entries.push(entry);
    if (tokens[at + 3] === "0") break;
  }
  return entries;
}
