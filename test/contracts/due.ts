/**
 * What stores know of reminders: which entities have one that is due. They may name some that have
 * none any more, with a time that was once right; so these checks look for who must be there.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import type { DueEntity, Store } from "../../src/ports/store.ts";
import type { Check } from "./check.ts";
import {
  everything,
  fence,
  put,
  someKey,
  type StoreFixture,
  two,
  versionOf,
  writeOne,
  written,
} from "./kept.ts";

const WHERE = { entity: "cart", shard: 3 };
const MANY = 10_000;
/** A day of this century. */
const DAY_MS = 1_790_000_000_000;

/** The part of the contract that is about reminders. */
export const dueChecks: readonly Check<StoreFixture>[] = [
  {
    name: "due() finds who is due by a time, the earliest first, and never more than its limit",
    async run(fixture) {
      const [first, second] = await two(fixture);
      deepEqual(await first.due(WHERE, DAY_MS, MANY), []);
      const times = [700, 20, 1_000, 0, 3, 100, 20, DAY_MS, DAY_MS - 1, 8_640_000_000_000];
      const all = times.map((dueMs) => ({ ...someKey(WHERE), dueMs }));
      const results = await first.write(all.map(({ dueMs, ...key }) => put(key, { dueMs })));
      for (const result of results) versionOf(result);
      await written(first, put(someKey(WHERE)));
      const sorted = all
        .map(({ id, dueMs }) => ({ id, dueMs }))
        .sort((one, other) => one.dueMs - other.dueMs);
      for (const untilMs of [0, 2, 3, 20, 21, 1_000, DAY_MS - 1, DAY_MS, 1e15]) {
        const expected = sorted.filter(({ dueMs }) => dueMs <= untilMs);
        for (const store of [first, second]) {
          same(await store.due(WHERE, untilMs, MANY), expected);
          for (const limit of [1, 3]) {
            const found = await store.due(WHERE, untilMs, limit);
            deepEqual(found.map(timeOf), expected.slice(0, limit).map(timeOf));
          }
        }
      }
    },
  },
  {
    name: "due() keeps shards and entity types apart",
    async run(fixture) {
      const [first, second] = await two(fixture);
      const { id } = someKey();
      const places = [0, 1, 3, 13, 31].map((shard) => ({ entity: "cart", shard }));
      const others = ["Cart", "cart.3", "cart1", "car"].map((entity) => ({ entity, shard: 3 }));
      for (const [n, place] of [...places, ...others].entries()) {
        await written(first, put({ ...place, id: `${id}-${n}` }, { dueMs: n }));
      }
      for (const [n, place] of [...places, ...others].entries()) {
        same(await second.due(place, MANY, MANY), [{ id: `${id}-${n}`, dueMs: n }]);
      }
      deepEqual(await second.due({ entity: "cart", shard: 30 }, MANY, MANY), []);
      // Asked for at once, more often than a store may ask its server in one step.
      const all = [...places, ...others];
      const asked = Array.from({ length: 90 }, (_, n) => second.due(all[n % all.length]!, n, MANY));
      for (const [n, found] of (await Promise.all(asked)).entries()) {
        const dueMs = n % all.length;
        same(found, [{ id: `${id}-${dueMs}`, dueMs }]);
      }
    },
  },
  {
    name: "due() follows replacements: later, earlier, never, and again",
    async run(fixture) {
      const [first, second] = await two(fixture);
      const key = someKey(WHERE);
      let version = 0;
      const set = async (store: Store, dueMs: number | undefined, data?: string): Promise<void> => {
        version = await written(store, put(key, { expected: version, dueMs, data }));
      };
      await set(first, 100, "{}");
      await set(second, 500, "{}");
      await has(first, key.id, 500);
      await set(first, 50, "{}");
      await has(second, key.id, 50);
      await set(second, undefined, "{}");
      await set(first, 70, "{}");
      await has(second, key.id, 70);
      await set(second, undefined);
      await set(first, 60, "{}");
      await has(first, key.id, 60);
      await has(second, key.id, 60);
    },
  },
  {
    name: "due() leaves nobody out who was deleted or replaced meanwhile and came back",
    async run(fixture) {
      const [first, second] = await two(fixture);
      const keys = Array.from({ length: 60 }, () => someKey(WHERE));
      let versions = (await first.write(keys.map((key) => put(key, { dueMs: 10 })))).map(versionOf);
      for (const [round, store] of [second, first, second].entries()) {
        // One third is deleted, one loses its reminder, one has it later.
        const changes = keys.map((key, n) => {
          const dueMs = n % 3 === 2 ? 20 + round : undefined;
          return put(key, { expected: versions[n]!, dueMs, data: n % 3 === 0 ? undefined : "{}" });
        });
        versions = (await store.write(changes)).map(versionOf);
        const back = keys.map((key, n) => put(key, { expected: versions[n]!, dueMs: 10 + round }));
        versions = (await store.write(back)).map(versionOf);
        for (const reader of [first, second]) {
          const found = await reader.due(WHERE, 10 + round, MANY);
          const named = new Set(found.map(({ id }) => id));
          ok(keys.every(({ id }) => named.has(id)));
        }
      }
    },
  },
  {
    name: "a write that is refused leaves nobody out of what is due",
    async run(fixture) {
      const [first, second] = await two(fixture);
      const [key, other] = [someKey(WHERE), someKey(WHERE)];
      const version = await written(first, put(key, { dueMs: 10, fence: fence(2) }));
      for (const dueMs of [5, 500, undefined]) {
        await writeOne(second, put(key, { expected: version + 1, dueMs, fence: fence(3) }));
        await writeOne(second, put(key, { expected: version, dueMs, fence: fence(1) }));
        await writeOne(second, put(other, { expected: 1, dueMs }));
        const found = await first.due(WHERE, 10, MANY);
        ok(found.some(({ id }) => id === key.id));
      }
      const stored = await everything(second);
      deepEqual(
        stored.map(({ id, dueMs }) => ({ id, dueMs })),
        [{ id: key.id, dueMs: 10 }],
      );
    },
  },
  {
    name: "who works off what is due, part by part, has had everybody",
    async run(fixture) {
      const [first, second] = await two(fixture);
      const keys = Array.from({ length: 300 }, () => someKey(WHERE));
      const creations = keys.map((key, n) => put(key, { dueMs: (n * 7) % 100 }));
      const results = await first.write(creations);
      const versions = new Map(keys.map(({ id }, n) => [id, versionOf(results[n])]));
      const had: string[] = [];
      while (had.length < keys.length) {
        const found = await second.due(WHERE, 100, 64);
        const left = found.filter(({ id }) => versions.has(id));
        ok(left.length > 0, `nobody is due any more after ${had.length}`);
        const ends = left.map(({ id }) => put({ ...WHERE, id }, { expected: versions.get(id)! }));
        for (const result of await second.write(ends)) versionOf(result);
        for (const { id } of left) versions.delete(id);
        had.push(...left.map(({ id }) => id));
      }
      equal(new Set(had).size, keys.length);
    },
  },
  {
    name: "a time comes out as it went in",
    async run(fixture) {
      const [first, second] = await two(fixture);
      for (const dueMs of [0, 1, DAY_MS, DAY_MS + 0.5, 8_640_000_000_000_000]) {
        const key = someKey(WHERE);
        await written(first, put(key, { dueMs }));
        await has(second, key.id, dueMs);
        const stored = (await everything(second)).find(({ id }) => id === key.id);
        equal(stored?.dueMs, dueMs);
      }
    },
  },
];

async function has(store: Store, id: string, dueMs: number): Promise<void> {
  const found = await store.due(WHERE, 1e17, MANY);
  const times = found.filter((each) => each.id === id).map(timeOf);
  ok(times.includes(dueMs), `due at ${times.join()}, not at ${dueMs}`);
}

/** The same entities at the same times, the earliest first; of one time in any order. */
function same(found: readonly DueEntity[], expected: readonly DueEntity[]): void {
  deepEqual(found.map(timeOf), expected.map(timeOf));
  deepEqual(found.map(textOf).sort(), expected.map(textOf).sort());
}

function textOf({ id, dueMs }: DueEntity): string {
  return `${dueMs} ${id}`;
}

function timeOf({ dueMs }: DueEntity): number {
  return dueMs;
}
