/** The buckets of a store: found or made, and what they remember of it beside its entities. */
import { jetstream, type JetStreamManager } from "@nats-io/jetstream";
import { CatgaError } from "../../base/errors.ts";
import { IDENTITY_CHARS } from "../../base/limits.ts";
import type { Random } from "../../base/random.ts";
import type { Connection } from "./connection.ts";
import { checkStream, essentialsOf, isNotFound, isWrongSequence, makeStream } from "./stream.ts";
import type { storeBucketsOf } from "./subject.ts";

/** What the store of one node is made of. */
export interface NatsStoreParts {
  readonly connection: Connection;
  readonly random: Random;
  readonly buckets: ReturnType<typeof storeBucketsOf>;
  readonly shardCount: number;
  readonly replicas: number | undefined;
}

/** A server that was just started loses what it is asked; asking again is harmless. */
export const ANSWER_MS = 750;

/**
 * Opens the buckets of a store, and makes those that are not there; its identity.
 *
 * @throws {CatgaError} SETTINGS_DIFFER, BROKER_TOO_OLD; other errors may pass
 */
export async function openBuckets(
  manager: JetStreamManager,
  parts: NatsStoreParts,
): Promise<string> {
  for (const bucket of Object.values(parts.buckets)) await openBucket(manager, bucket, parts);
  return settle(manager, parts, parts.random.text(IDENTITY_CHARS));
}

async function openBucket(
  manager: JetStreamManager,
  bucket: string,
  { connection, replicas, shardCount }: NatsStoreParts,
): Promise<void> {
  const find = async (): Promise<void> => {
    const { config } = await manager.streams.info(`KV_${bucket}`);
    checkStream(connection, config, essentialsOf(bucket, replicas ?? config.num_replicas));
  };
  await find().catch(async (error: unknown) => {
    if (!isNotFound(error)) throw error;
    if (shardCount === 0) throw nothingAt(connection, bucket);
    await makeStream(manager, connection, essentialsOf(bucket, replicas ?? 1));
    await find();
  });
}

/** The error for whoever looks into a store that is not there. */
function nothingAt({ address }: Connection, bucket: string): CatgaError {
  const details = { store: `NATS at ${address}`, reason: `there is no bucket "${bucket}"` };
  return new CatgaError("STORE_UNAVAILABLE", details);
}

/**
 * A bucket remembers how many shards there are, and which store it is, in keys that no entity
 * has. Resolves to its identity, which is `made` if it had none.
 */
async function settle(
  manager: JetStreamManager,
  { buckets, shardCount: ours, connection }: NatsStoreParts,
  made: string,
): Promise<string> {
  const remember = async (key: string, text: string): Promise<string> => {
    const subject = `$KV.${buckets.records}.${key}`;
    const options = { expect: { lastSubjectSequence: 0 }, timeout: ANSWER_MS };
    try {
      if (ours > 0) await jetstream(connection.client).publish(subject, text, options);
      if (ours > 0) return text;
    } catch (error) {
      if (!isWrongSequence(error)) throw error;
    }
    const query = { last_by_subj: subject };
    const found = await manager.streams.getMessage(`KV_${buckets.records}`, query);
    if (found === null) throw nothingAt(connection, buckets.records);
    return found.string();
  };
  const theirs = Number(await remember("shardCount", `${ours}`));
  if (theirs === ours) return remember("identity", made);
  throw new CatgaError("SETTINGS_DIFFER", { setting: "shardCount", ours, theirs });
}
