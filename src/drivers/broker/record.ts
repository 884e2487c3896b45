/**
 * What a store at a broker keeps of an entity: lines, and then its data as it is.
 *
 * ```
 * <version>
 * <fence>
 * <operation>
 * <shard>
 * <due, or nothing>
 * <version under which that was said first, or nothing>
 * <checksum of these lines, and of whether there is data, which has one of its own>
 * <data; a record without this line is of an entity that was deleted>
 * ```
 *
 * A version is the time of its write and some chance, and always above the one before. So no number
 * comes twice where a broker goes back in time, or has forgotten a deletion: a version that
 * somebody remembers from before is not that of another record that was written since.
 */
import type { Clock } from "../../base/clock.ts";
import { CatgaError } from "../../base/errors.ts";
import { checksum } from "../../base/hash.ts";
import type { Random } from "../../base/random.ts";
import type { StoredEntity, StoredRecord, StoreResult, StoreWrite } from "../../ports/store.ts";
import { entityKey } from "../../protocol/ids.ts";
import { checkSizes } from "../../protocol/state-size.ts";

/** A record as a broker has it. */
export interface BrokerRecord extends StoredRecord {
  /** Which write it was. */
  readonly operation: string;
  readonly shard: number;
  readonly dueMs: number | undefined;
  /** Since which version it is due then. */
  readonly dueVersion: number | undefined;
}

/** A write that was given the version and the operation it keeps, however often it is tried. */
export interface Plan {
  readonly write: StoreWrite;
  readonly operation: string;
  readonly version: number;
}

/** Plans that a broker is given at a time. */
export interface Batch {
  readonly plans: readonly Plan[];
  /** True once it was sent: what became of it may be unknown from then on. */
  wasSent: boolean;
}

/** Versions of one millisecond. */
const VERSIONS_PER_MS = 1_024;
/** More would be too much at a time for a broker that has others to serve. */
const BATCH_WRITES_MAX = 256;
const BATCH_CHARS_MAX = 2 * 1_048_576;
const HEAD = /^(\d+)\n([^\n]*)\n([^\n]*)\n(\d+)\n([^\n]*)\n(\d*)\n([0-9a-f]+)(\n|$)/;

/**
 * Plans for `writes`.
 *
 * @throws {CatgaError} STATE_TOO_LARGE
 */
export function plansOf(
  writes: readonly StoreWrite[],
  { clock, random }: { readonly clock: Clock; readonly random: Random },
  bytesMax: number,
): Plan[] {
  checkSizes(writes, bytesMax);
  const chance = Math.floor(random.fraction() * VERSIONS_PER_MS);
  const now = Math.floor(clock.wallMs()) * VERSIONS_PER_MS + chance;
  const batch = random.text(20);
  return writes.map((write, i) => {
    return { write, operation: `${batch}.${i}`, version: Math.max(now, write.expected + 1) };
  });
}

/** `plans` in parts that a broker takes at a time. */
export function batchesOf(plans: readonly Plan[]): Batch[] {
  const batches: Plan[][] = [];
  let [batch, chars]: [Plan[], number] = [[], 0];
  for (const plan of plans) {
    chars += plan.write.data?.length ?? 0;
    if (batch.length === 0 || batch.length === BATCH_WRITES_MAX || chars > BATCH_CHARS_MAX) {
      batches.push((batch = []));
      chars = plan.write.data?.length ?? 0;
    }
    batch.push(plan);
  }
  return batches.map((each) => ({ plans: each, wasSent: false }));
}

/** The record that `plan` writes. */
export function textOfRecord({ write, operation, version }: Plan, dueVersion?: number): string {
  const { fence, shard, dueMs = "", data } = write;
  const lines = [version, fence, operation, shard, dueMs, dueVersion ?? ""];
  const head = [...lines, checksumOf(lines, data !== undefined)].join("\n");
  return data === undefined ? head : `${head}\n${data}`;
}

/**
 * The record of `entity` that a text is.
 *
 * @throws {CatgaError} STATE_CORRUPT when it is none
 */
export function recordOf(text: string, entity: string): BrokerRecord {
  const [head, ...lines] = HEAD.exec(text) ?? [];
  const end = lines.pop();
  const isSound = lines.pop() === checksumOf(lines, end === "\n");
  if (head === undefined || !isSound) {
    throw new CatgaError("STATE_CORRUPT", { entity, reason: "it is no record of catga" });
  }
  const [version, fence, operation, shard, dueMs, dueVersion] = lines;
  return {
    version: Number(version),
    fence: fence!,
    operation: operation!,
    shard: Number(shard),
    dueMs: dueMs === "" ? undefined : Number(dueMs),
    dueVersion: dueVersion === "" ? undefined : Number(dueVersion),
    data: end === "\n" ? text.slice(head.length) : undefined,
  };
}

/** When a version was written, by the clock of who wrote it. */
export function writtenMs({ version }: Pick<StoredRecord, "version">): number {
  return version / VERSIONS_PER_MS;
}

/** What an export shows of `entity/id`; a record that cannot be read is shown as it stands. */
export function entityOf(entity: string, id: string, text: string): StoredEntity {
  try {
    const { version, fence, data, shard, dueMs } = recordOf(text, entityKey(entity, id));
    return { entity, id, shard, version, fence, data, dueMs };
  } catch {
    return { entity, id, shard: 0, version: 1, fence: "", data: text, dueMs: undefined };
  }
}

/** Why a write is given up that {@link resultOf} says nothing of. */
export const IN_DOUBT = "it did not confirm a write in time, and has a later one now";

/**
 * What became of `plan` when `found` stands there and it cannot be carried out any more; undefined
 * when that cannot be told: what `wasSent` before may have been, and have been replaced since.
 */
export function resultOf(
  { write, operation }: Plan,
  found: BrokerRecord | undefined,
  wasSent: boolean,
): StoreResult | undefined {
  if (found?.operation === operation) return { ok: true, version: found.version };
  if (wasSent && (found?.version ?? 0) > write.expected) return undefined;
  return { ok: false, current: storedOf(found) };
}

/** A record as it is told. */
export function storedOf(found: BrokerRecord | undefined): StoredRecord | undefined {
  return found && { version: found.version, fence: found.fence, data: found.data };
}

function checksumOf(lines: readonly unknown[], hasData: boolean): string {
  return checksum(`${lines.join("\n")}${hasData}`).toString(16);
}
