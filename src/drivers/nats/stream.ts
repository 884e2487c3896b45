/**
 * The streams of a cluster: JetStream buckets that keep one value per key, in files. `nats kv` can
 * read them.
 */
import { DiscardPolicy, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import type { JetStreamApiError, JetStreamManager, StreamConfig } from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import { checkAge } from "../tcp/exposure.ts";
import { CatgaError } from "../../base/errors.ts";
import type { Connection } from "./connection.ts";

const STREAM_NOT_FOUND = 10_059;
const NAME_IN_USE = 10_058;
/** The second is what newer servers say in a cluster. */
const WRONG_LAST_SEQUENCE = [10_071, 10_164];
/** A cluster of servers that looks for its leader. */
const UNAVAILABLE = 10_008;
/** Republished changes carry their number from here on. */
const VERSION_MIN = "2.9.0";
/**
 * Before, a replicated stream compared revisions ahead of its consensus: of two who raced, both
 * could win (nats-server#4320).
 */
const REPLICATED_VERSION_MIN = "2.9.21";
/** The broker knows an operation's id for this long; the record remembers it for longer. */
const DUPLICATE_WINDOW_MS = 10_000;

/** True when there is no such stream. */
export function isNotFound(error: unknown): boolean {
  return (error as JetStreamApiError).code === STREAM_NOT_FOUND;
}

/** True when another value stands there than a publication expected. */
export function isWrongSequence(error: unknown): boolean {
  return WRONG_LAST_SEQUENCE.includes((error as JetStreamApiError).code);
}

/** True when a server has answered, and will answer the same next time. */
export function isVerdict(error: unknown): boolean {
  const { name, code } = error as JetStreamApiError;
  return name === "JetStreamApiError" && code !== UNAVAILABLE;
}

/** The error for whoever cannot use a broker, if `error` says so; else itself. */
export function verdictOf(error: unknown, { address }: Connection): unknown {
  const { name, message: what } = error as Error;
  if (!isVerdict(error) && name !== "JetStreamNotEnabled") return error;
  return new CatgaError("BROKER_LACKS", { address, what }, { cause: error });
}

/** What the stream of a bucket must be like, whoever made it. */
export function essentialsOf(bucket: string, replicas: number): Partial<StreamConfig> {
  return {
    subjects: [`$KV.${bucket}.>`],
    retention: RetentionPolicy.Limits,
    max_msgs_per_subject: 1,
    max_age: 0,
    // A full one refuses what is new, and drops nothing.
    discard: DiscardPolicy.New,
    storage: StorageType.File,
    num_replicas: replicas,
  };
}

/** Makes the stream of a bucket; that somebody else has made it meanwhile is fine. */
export async function makeStream(
  manager: JetStreamManager,
  connection: Connection,
  wanted: Partial<StreamConfig>,
): Promise<void> {
  checkVersion(connection, wanted.num_replicas ?? 1);
  const name = `KV_${wanted.subjects![0]!.slice("$KV.".length, -".>".length)}`;
  const making = manager.streams.add({
    ...wanted,
    name,
    duplicate_window: nanos(DUPLICATE_WINDOW_MS),
    allow_rollup_hdrs: true,
    allow_direct: false,
  });
  await making.catch(async (error: JetStreamApiError) => {
    // Somebody else has made it meanwhile, and not quite like this.
    if (error.code === NAME_IN_USE) return;
    // Or is about to: the server looks at subjects first, and may find those of this very stream.
    await manager.streams.info(name).catch(() => Promise.reject(error));
  });
}

/**
 * Refuses a stream that is not as `wanted`.
 *
 * @throws {CatgaError} SETTINGS_DIFFER, BROKER_TOO_OLD
 */
export function checkStream(
  connection: Connection,
  found: StreamConfig,
  wanted: Partial<StreamConfig>,
): void {
  checkVersion(connection, found.num_replicas);
  const theirs: Readonly<Record<string, unknown>> = { ...found };
  for (const [name, value] of Object.entries(wanted)) {
    const texts = { ours: JSON.stringify(value), theirs: JSON.stringify(theirs[name]) };
    const details = { setting: `${name} of stream ${found.name}`, ...texts };
    if (texts.ours !== texts.theirs) throw new CatgaError("SETTINGS_DIFFER", details);
  }
}

function checkVersion({ client }: Connection, replicas: number): void {
  const version = client.info?.version ?? "0";
  const minimum = replicas > 1 ? REPLICATED_VERSION_MIN : VERSION_MIN;
  const purpose = `keep a bucket of ${replicas} replicas`;
  checkAge(`nats-server ${version}`, version, [minimum, purpose]);
}
