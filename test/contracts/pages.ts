/** What stores show when everything is read: an export, and the clusters it must not mix. */
import { deepEqual, equal, notEqual, ok, rejects } from "node:assert/strict";
import type { CatgaError } from "../../src/base/errors.ts";
import type { StoredEntity } from "../../src/ports/store.ts";
import type { Check } from "./check.ts";
import {
  everything,
  failedWith,
  fence,
  loaded,
  put,
  refused,
  someKey,
  type StoreFixture,
  two,
  versionOf,
  written,
} from "./kept.ts";

/** The part of the contract that is about everything a store has. */
export const pageChecks: readonly Check<StoreFixture>[] = [
  {
    name: "page() shows everything once and whole, deleted entities as well",
    async run(fixture) {
      const [first, second] = await two(fixture);
      const writes = Array.from({ length: 1_300 }, (_, n) => {
        const key = someKey({ entity: n % 2 === 0 ? "cart" : "account", shard: n % 32 });
        const dueMs = n % 3 === 0 ? n : undefined;
        return put(key, { fence: fence(n), data: `data ${n}`, dueMs });
      });
      const versions = (await first.write(writes)).map(versionOf);
      const ends = writes
        .map((write, n) => ({
          ...write,
          expected: versions[n]!,
          data: undefined,
          dueMs: undefined,
        }))
        .filter((_, n) => n % 10 === 0);
      for (const [n, result] of (await second.write(ends)).entries()) {
        versions[n * 10] = versionOf(result);
      }
      const expected = writes.map((each, n): StoredEntity => {
        const { expected: _, ...write } = each;
        const isDeleted = n % 10 === 0;
        const rest = isDeleted ? { data: undefined, dueMs: undefined } : {};
        return { ...write, ...rest, version: versions[n]! };
      });
      for (const store of [first, second]) {
        deepEqual(byId((await everything(store)).map(entityIn)), byId(expected));
      }
    },
  },
  {
    name: "page() goes on where it was, at any store of the cluster",
    async run(fixture) {
      const [first, second] = await two(fixture);
      const keys = Array.from({ length: 1_300 }, () => someKey({ shard: 9 }));
      for (const result of await first.write(keys.map((key) => put(key)))) versionOf(result);
      const ids: string[] = [];
      const stores = [first, second];
      for (let after: string | undefined, pages = 0; pages === 0 || after !== undefined; pages++) {
        const { found, next } = await stores[pages % 2]!.page(after);
        ids.push(...found.map(({ id }) => id));
        after = next;
      }
      deepEqual(ids.sort(), keys.map(({ id }) => id).sort());
    },
  },
  {
    name: "page() says how many there are, and leaves none out that is there while others write",
    async run(fixture) {
      const [reader, writer] = await two(fixture);
      const keys = Array.from({ length: 1_300 }, (_, n) => someKey({ shard: n % 32 }));
      const versions = (await writer.write(keys.map((key) => put(key)))).map(versionOf);
      const reading = { isOver: false, turns: 0 };
      const writing = async (): Promise<void> => {
        while (!reading.isOver) {
          const turn = reading.turns++;
          // Some of them, and others that come and go.
          const some = keys.flatMap((_, n) => (n % 5 === turn % 5 ? [n] : []));
          const changes = some.map((n) => put(keys[n]!, { expected: versions[n]! }));
          const guests = Array.from({ length: 5 }, () => put(someKey()));
          const results = (await writer.write([...changes, ...guests])).map(versionOf);
          for (const [i, n] of some.entries()) versions[n] = results[i]!;
          const ends = guests.map((guest, i) => {
            return { ...guest, expected: results[some.length + i]!, data: undefined };
          });
          for (const result of await writer.write(ends)) versionOf(result);
        }
      };
      const first = await reader.page();
      equal(first.total, keys.length);
      const seen = new Set(first.found.map(({ id }) => id));
      const written = writing().finally(() => (reading.isOver = true));
      for (let after = first.next; after !== undefined;) {
        const { turns } = reading;
        const page = await reader.page(after);
        for (const { id } of page.found) seen.add(id);
        after = page.next;
        while (reading.turns === turns && !reading.isOver) await reader.load(keys[0]!);
      }
      reading.isOver = true;
      await written;
      deepEqual(
        keys.filter(({ id }) => !seen.has(id)),
        [],
      );
    },
  },
  {
    name: "clusters of different names never meet",
    async run(fixture) {
      const store = await fixture.open();
      const suffix = someKey().id;
      const names = ["a", "A", "a.b", "a-b", "a_b", "b"].map((name) => `${name}.${suffix}`);
      const key = someKey();
      await written(store, put(key, { data: "ours", dueMs: 1 }));
      for (const cluster of [...names, suffix]) {
        const other = await fixture.open({ cluster, shardCount: 64 });
        equal(await loaded(other, key), undefined);
        deepEqual(await other.due({ entity: key.entity, shard: key.shard }, 9, 9), []);
        deepEqual(await everything(other), []);
        await written(other, put(key, { data: cluster }));
      }
      for (const cluster of names) {
        const other = await fixture.open({ cluster, shardCount: 64 });
        equal((await loaded(other, key))?.data, cluster);
        equal((await everything(other)).length, 1);
      }
      equal((await loaded(store, key))?.data, "ours");
    },
  },
  {
    name: "a store that was made with another shardCount is refused, and stays as it is",
    async run(fixture) {
      const store = await fixture.open({ shardCount: 32 });
      const key = someKey();
      const version = await written(store, put(key));
      for (const shardCount of [31, 64]) {
        await rejects(fixture.open({ shardCount }), failedWith("SETTINGS_DIFFER"));
      }
      const late = await fixture.open({ shardCount: 32 });
      const current = { version, fence: fence(1), data: "{}" };
      deepEqual(await loaded(late, key), current);
      await refused(late, put(key), current);
    },
  },
  {
    name: "whoever asks for the shardCount, by saying 0, is told, and makes no store",
    async run(fixture) {
      const cluster = `asked.${someKey().id}`;
      for (let turn = 0; turn < 2; turn++) {
        await rejects(fixture.open({ cluster, shardCount: 0 }), failedWith("STORE_UNAVAILABLE"));
      }
      await fixture.open({ cluster, shardCount: 64 });
      await rejects(fixture.open({ cluster, shardCount: 0 }), (error) => {
        failedWith("SETTINGS_DIFFER")(error);
        equal((error as CatgaError<"SETTINGS_DIFFER">).details.theirs, 64);
        return true;
      });
    },
  },
  {
    name: "a store has one identity, and those of clusters of different names have others",
    async run(fixture) {
      const cluster = (await fixture.open()).identity;
      const opened = [fixture.open({ cluster }), fixture.open({ cluster }), fixture.open()];
      const [first, second, other] = await Promise.all(opened);
      ok(/^\w{16}$/.test(first!.identity));
      equal(second!.identity, first!.identity);
      equal(other!.identity, cluster);
      notEqual(first!.identity, cluster);
      await first!.close();
      equal((await fixture.open({ cluster })).identity, second!.identity);
    },
  },
  {
    name: "of those who open a new store at the same time with different shardCounts one wins",
    async run(fixture) {
      const counts = [32, 64, 32, 64];
      const opened = await Promise.allSettled(
        counts.map((shardCount) => fixture.open({ shardCount })),
      );
      const won = new Set(counts.filter((_, n) => opened[n]!.status === "fulfilled"));
      equal(won.size, 1);
      for (const [n, outcome] of opened.entries()) {
        if (outcome.status === "fulfilled") continue;
        ok(!won.has(counts[n]!));
        failedWith("SETTINGS_DIFFER")(outcome.reason);
      }
    },
  },
];

function entityIn(stored: StoredEntity): StoredEntity {
  const { entity, id, shard, version, data, dueMs } = stored;
  return { entity, id, shard, version, fence: stored.fence, data, dueMs };
}

function byId(all: readonly StoredEntity[]): StoredEntity[] {
  return all.toSorted((one, other) => (one.id < other.id ? -1 : 1));
}
