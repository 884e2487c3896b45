/**
 * The bucket of a cluster: a JetStream key-value bucket that keeps one value per key, in files, and
 * tells every change on a core subject, with the number of the change.
 *
 * The client of `@nats-io/kv` is not used, because its `update` carries no message id, without
 * which an operation cannot be asked about; and its `get` may answer from a replica that lags. The
 * bucket is one that `nats kv` can read.
 */
import { AckPolicy, DeliverPolicy, DiscardPolicy, jetstream } from "@nats-io/jetstream";
import { RetentionPolicy, StorageType } from "@nats-io/jetstream";
import type { JetStreamApiError, JetStreamClient, JetStreamManager } from "@nats-io/jetstream";
import type { StreamConfig, StreamInfo } from "@nats-io/jetstream";
import { createInbox, type Msg, nanos } from "@nats-io/transport-node";
import { CatgaError } from "../../base/errors.ts";
import { type CasResult, type Change, type Entry, isEntry } from "../../protocol/ledger.ts";
import type { Connection } from "./connection.ts";
import { bucketKey, type Names } from "./subject.ts";

/** What a bucket is made with, and how it is reached. */
export interface BucketOptions {
  readonly connection: Connection;
  readonly names: Names;
  /** For errors. */
  readonly address: string;
  /** Undefined takes an existing bucket as it is, and makes a new one with 1. */
  readonly replicas: number | undefined;
}

/** Which bucket it is, and how far it has come. */
export interface BucketState {
  /** When it was made, in milliseconds: one that was made again has another. */
  readonly generation: number;
  readonly revision: number;
}

const CODES = { streamNotFound: 10_059, nameInUse: 10_058, wrongLastSequence: 10_071 };
/** Republished changes carry their number from here on. */
const VERSION_MIN = [2, 9, 0];
/**
 * Before, a replicated stream compared revisions ahead of its consensus: of two who raced, both
 * could win (nats-server#4320).
 */
const REPLICATED_VERSION_MIN = [2, 9, 21];
/** The broker knows an operation's id for this long; the record remembers it for longer. */
const DUPLICATE_WINDOW_MS = 10_000;
const ADMIN_TIMEOUT_MS = 2_000;
/** A consumer that nobody reads any more goes by itself. */
const CONSUMER_IDLE_MS = 2_000;
const SETTINGS = [
  "subjects",
  "retention",
  "max_msgs_per_subject",
  "storage",
  "max_age",
  "republish",
  "num_replicas",
] as const;
/** No record has this key. */
const OPENED = "opened";

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
   * Finds the bucket, or makes it.
   *
   * @throws {CatgaError} BROKER_LACKS, BROKER_TOO_OLD, SETTINGS_DIFFER; other errors may pass
   */
  async find(): Promise<BucketState> {
    this.#manager ??= await this.#jetstream.jetstreamManager(false);
    try {
      const { created, config, state } = await this.#info(this.#manager);
      this.#check(config);
      return { generation: Date.parse(created), revision: state.last_seq };
    } catch (error) {
      if ((error as Error).name !== "JetStreamNotEnabled") throw error;
      const details = { address: this.#options.address, what: "JetStream is not enabled there" };
      throw new CatgaError("BROKER_LACKS", details, { cause: error });
    }
  }

  /** True when somebody has said that nobody acts under a bucket before this one. */
  async isOpened(generation: number): Promise<boolean> {
    return (await this.#read(bucketKey(generation, OPENED))) !== undefined;
  }

  /** Says so. */
  async markOpened(generation: number): Promise<void> {
    const subject = this.#subject(bucketKey(generation, OPENED));
    await this.#jetstream.publish(subject, "{}", { timeout: ADMIN_TIMEOUT_MS });
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
      if ((error as JetStreamApiError).code !== CODES.wrongLastSequence) throw error;
    }
    const message = await this.#read(key);
    const current = message && entryOf(message.data, message.seq);
    if (current?.operation !== content.operation) return { ok: false, current };
    return { ok: true, revision: current.revision };
  }

  /** The records as they stand, each at the latest revision that this walk met. */
  async records(generation: number): Promise<Entry[]> {
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
      return (await connection.within(ADMIN_TIMEOUT_MS, walk))[0];
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

  async #info(manager: JetStreamManager): Promise<StreamInfo> {
    const { stream } = this.#options.names;
    try {
      return await manager.streams.info(stream);
    } catch (error) {
      if ((error as JetStreamApiError).code !== CODES.streamNotFound) throw error;
    }
    this.#checkVersion(this.#options.replicas ?? 1);
    try {
      return await manager.streams.add(this.#config());
    } catch (error) {
      // Somebody else has made it meanwhile, and not quite like this.
      if ((error as JetStreamApiError).code === CODES.nameInUse)
        return manager.streams.info(stream);
      if ((error as Error).name !== "JetStreamApiError") throw error;
      const { address } = this.#options;
      const what = `it cannot keep the bucket (${(error as Error).message})`;
      throw new CatgaError("BROKER_LACKS", { address, what }, { cause: error });
    }
  }

  #config(): Partial<StreamConfig> & { readonly name: string } {
    const { names, replicas = 1 } = this.#options;
    return {
      name: names.stream,
      subjects: [this.#subject(">")],
      retention: RetentionPolicy.Limits,
      max_msgs_per_subject: 1,
      discard: DiscardPolicy.New,
      storage: StorageType.File,
      num_replicas: replicas,
      duplicate_window: nanos(DUPLICATE_WINDOW_MS),
      allow_rollup_hdrs: true,
      allow_direct: false,
      max_age: 0,
      republish: { src: this.#subject(">"), dest: `${names.feed}>` },
    };
  }

  #check(found: StreamConfig): void {
    this.#checkVersion(found.num_replicas);
    const { replicas = found.num_replicas } = this.#options;
    const wanted: Partial<StreamConfig> = { ...this.#config(), num_replicas: replicas };
    for (const setting of SETTINGS) {
      const [ours, theirs] = [JSON.stringify(wanted[setting]), JSON.stringify(found[setting])];
      const details = { setting: `${setting} of stream ${found.name}`, ours, theirs };
      if (ours !== theirs) throw new CatgaError("SETTINGS_DIFFER", details);
    }
  }

  #checkVersion(replicas: number): void {
    const version = this.#options.connection.client.info?.version ?? "0";
    const [minimum, purpose] =
      replicas > 1
        ? [REPLICATED_VERSION_MIN, `keep a bucket of ${replicas} replicas`]
        : [VERSION_MIN, "carry a cluster"];
    if (isAtLeast(version, minimum)) return;
    const broker = `nats-server ${version}`;
    throw new CatgaError("BROKER_TOO_OLD", { broker, purpose, minimum: minimum.join(".") });
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
  for await (const message of messages) {
    const place = placeOf(message);
    if (place === undefined) continue;
    const entry = entryOf(message.data, place.revision);
    if (entry !== undefined) entries.push(entry);
    if (place.pending === 0) break;
  }
  return entries;
}

/**
 * Where a message of a consumer stands: its revision, and how many come after it. Both stand in
 * its reply subject, before the time and after it, in a form with 9 tokens and one with more
 * (nats-architecture-and-design, ADR-15).
 */
function placeOf({ reply = "" }: Msg): { revision: number; pending: number } | undefined {
  const tokens = reply.split(".");
  if (tokens[1] !== "ACK" || tokens.length < 9) return undefined;
  const at = tokens.length === 9 ? 5 : 7;
  return { revision: Number(tokens[at]), pending: Number(tokens[at + 3]) };
}

function isAtLeast(version: string, minimum: readonly number[]): boolean {
  const numbers = version.split(/[.-]/, 3).map(Number);
  for (const [i, least] of minimum.entries()) {
    const number = numbers[i] ?? 0;
    if (number !== least) return number > least;
  }
  return true;
}
