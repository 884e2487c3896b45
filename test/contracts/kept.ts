/** What the contract of stores writes and reads: stores of one cluster, writes, their outcomes. */
import { deepEqual, equal, ok } from "node:assert/strict";
import type { Clock } from "../../src/base/clock.ts";
import { type ErrorCode, isCatgaError } from "../../src/base/errors.ts";
import type {
  Store,
  StoredEntity,
  StoredRecord,
  StoreKey,
  StoreResult,
  StoreWrite,
} from "../../src/ports/store.ts";
import type { Closable } from "./check.ts";

/** As a node opens a store. */
export interface StoreSettings {
  /** @default the fixture's own, which nobody else has */
  readonly cluster?: string;
  /** @default 32 */
  readonly shardCount?: number;
  /** @default that of the machine */
  readonly clock?: Clock;
}

/** One store; closing it closes every port that was handed out, and removes what was kept. */
export interface StoreFixture extends Closable {
  /** Opens the store as one more node does, in this process or as if it were in another one. */
  open(settings?: StoreSettings): Promise<Store>;
}

/** Of one width, so that they sort: the shape that `ctx.fence` has. */
export function fence(epoch: number): string {
  return `0000000001.${String(epoch).padStart(12, "0")}`;
}

/** Two nodes' stores. */
export async function two(fixture: StoreFixture): Promise<[Store, Store]> {
  return [await fixture.open(), await fixture.open()];
}

/** True for an error of catga with one of these codes. */
export function failedWith(...codes: readonly ErrorCode[]): (error: unknown) => boolean {
  return (error) => {
    ok(isCatgaError(error), `not an error of catga: ${String(error)}`);
    ok(codes.includes(error.code), error.message);
    return true;
  };
}

let numbers = 0;

/** An entity that no other check of this process knows. */
export function someKey(key: Partial<StoreKey> = {}): StoreKey {
  return { entity: "cart", id: `id-${++numbers}`, shard: 3, ...key };
}

/** A write; what is not said is a creation under the lowest fence, without a reminder. */
export function put(key: StoreKey, write: Partial<StoreWrite> = {}): StoreWrite {
  return { ...key, expected: 0, fence: fence(1), data: "{}", dueMs: undefined, ...write };
}

/** One write. */
export async function writeOne(store: Store, write: StoreWrite): Promise<StoreResult> {
  const results = await store.write([write]);
  equal(results.length, 1);
  return results[0]!;
}

/** The version of a write that must have been carried out. */
export function versionOf(result: StoreResult | undefined): number {
  ok(result?.ok === true, `refused: ${JSON.stringify(result)?.slice(0, 300)}`);
  ok(Number.isSafeInteger(result.version) && result.version > 0);
  return result.version;
}

/** One write that must be carried out, and its version. */
export async function written(store: Store, write: StoreWrite): Promise<number> {
  return versionOf(await writeOne(store, write));
}

/** One write that must be refused because `current` stands there, and must change nothing. */
export async function refused(
  store: Store,
  write: StoreWrite,
  current: StoredRecord | undefined,
): Promise<void> {
  deepEqual(plain(await writeOne(store, write)), { ok: false, current });
  deepEqual(await loaded(store, write), current);
}

/** What is kept of an entity, without what a store may have added. */
export async function loaded(store: Store, key: StoreKey): Promise<StoredRecord | undefined> {
  const { entity, id, shard } = key;
  return recordIn(await store.load({ entity, id, shard }));
}

/** The results of a batch, without what a store may have added. */
export function plain(result: StoreResult | undefined): unknown {
  if (result === undefined || result.ok) return result && { ok: true, version: result.version };
  return { ok: false, current: recordIn(result.current) };
}

function recordIn(found: StoredRecord | undefined): StoredRecord | undefined {
  return found && { version: found.version, fence: found.fence, data: found.data };
}

/** Everything a store has, page by page. */
export async function everything(store: Store): Promise<StoredEntity[]> {
  const all: StoredEntity[] = [];
  for (let after: string | undefined, isFirst = true; isFirst || after !== undefined;) {
    const { found, next } = await store.page(after);
    all.push(...found);
    isFirst = false;
    after = next;
  }
  return all;
}
