/** What every store does, whatever keeps it: `src/ports/store.ts` as a program. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { StoredRecord } from "../../src/ports/store.ts";
import type { Check } from "./check.ts";
import { closingChecks } from "./closing.ts";
import { dueChecks } from "./due.ts";
import { forgettingChecks } from "./forgetting.ts";
import {
  everything,
  failedWith,
  fence,
  loaded,
  plain,
  put,
  refused,
  someKey,
  type StoreFixture,
  two,
  versionOf,
  writeOne,
  written,
} from "./kept.ts";
import { pageChecks } from "./pages.ts";
import { raceChecks } from "./races.ts";
import { HARD_DATA, HARD_IDS } from "./spellings.ts";

/** The contract. */
export const storeContract: readonly Check<StoreFixture>[] = [
  {
    name: "of an entity that was never written there is nothing",
    async run(fixture) {
      const store = await fixture.open();
      equal(await store.load(someKey()), undefined);
      deepEqual(await store.write([]), []);
      deepEqual(await everything(store), []);
    },
  },
  {
    name: "a record is created, replaced and read by all, and its version rises",
    async run(fixture) {
      const [first, second] = await two(fixture);
      const key = someKey();
      let version = 0;
      for (let n = 0; n < 50; n++) {
        const [writer, reader] = n % 2 === 0 ? [first, second] : [second, first];
        const last = version;
        version = await written(writer, put(key, { expected: version, data: `${n}` }));
        ok(version > last);
        deepEqual(await loaded(reader, key), { version, fence: fence(1), data: `${n}` });
      }
    },
  },
  {
    name: "a write that expects another version is refused with what stands there",
    async run(fixture) {
      const [first, second] = await two(fixture);
      const key = someKey();
      await refused(second, put(key, { expected: 1 }), undefined);
      const created = await written(first, put(key, { data: "old" }));
      const version = await written(first, put(key, { expected: created, data: "new" }));
      const current = { version, fence: fence(1), data: "new" };
      for (const expected of [0, created, version + 1, version + 1_000_000]) {
        await refused(second, put(key, { expected, fence: fence(2), data: "late" }), current);
      }
    },
  },
  {
    name: "a lower fence is refused though the version is right; an equal or higher one is not",
    async run(fixture) {
      const [zombie, owner] = await two(fixture);
      const key = someKey();
      let version = await written(zombie, put(key, { fence: fence(9) }));
      version = await written(zombie, put(key, { expected: version, fence: fence(9) }));
      version = await written(owner, put(key, { expected: version, fence: fence(10) }));
      const current = { version, fence: fence(10), data: "{}" };
      for (const lower of [fence(9), fence(0), ""]) {
        await refused(zombie, put(key, { expected: version, fence: lower, data: "late" }), current);
        const end = put(key, { expected: version, fence: lower, data: undefined });
        await refused(zombie, end, current);
      }
      await written(owner, put(key, { expected: version, fence: fence(11), data: "more" }));
    },
  },
  {
    name: "a deleted entity keeps version and fence, and is created again from there alone",
    async run(fixture) {
      const [first, second] = await two(fixture);
      const key = someKey();
      const created = await written(first, put(key, { fence: fence(5) }));
      const gone = put(key, { expected: created, fence: fence(6), data: undefined });
      const version = await written(first, gone);
      ok(version > created);
      const current: StoredRecord = { version, fence: fence(6), data: undefined };
      deepEqual(await loaded(second, key), current);
      await refused(second, put(key, { expected: 0, fence: fence(6) }), current);
      await refused(second, put(key, { expected: created, fence: fence(6) }), current);
      await refused(second, put(key, { expected: version, fence: fence(5) }), current);
      const again = put(key, { expected: version, fence: fence(6), data: "again" });
      const last = await written(second, again);
      ok(last > version);
      deepEqual(await loaded(first, key), { version: last, fence: fence(6), data: "again" });
    },
  },
  {
    name: "an entity that was never there may be deleted, and then has a version and a fence",
    async run(fixture) {
      const [first, second] = await two(fixture);
      const key = someKey();
      const version = await written(first, put(key, { data: undefined }));
      const current = { version, fence: fence(1), data: undefined };
      deepEqual(await loaded(second, key), current);
      await refused(second, put(key), current);
    },
  },
  {
    name: "an id of any legal spelling is an entity of its own",
    async run(fixture) {
      const [first, second] = await two(fixture);
      const keys = HARD_IDS.map((id, i) => someKey({ id, shard: i % 32 }));
      const creations = keys.map((key) => put(key, { data: key.id, dueMs: 1 }));
      const versions = (await first.write(creations)).map(versionOf);
      for (const [i, key] of keys.entries()) {
        const version = versions[i]!;
        deepEqual(await loaded(second, key), { version, fence: fence(1), data: key.id });
        const due = await second.due({ entity: key.entity, shard: key.shard }, 1, HARD_IDS.length);
        equal(due.filter(({ id }) => id === key.id).length, 1, key.id);
      }
      const ids = (await everything(second)).map(({ id }) => id);
      deepEqual(ids.sort(), [...HARD_IDS].sort());
    },
  },
  {
    name: "one id in several entity types is several entities",
    async run(fixture) {
      const [first, second] = await two(fixture);
      const names = ["cart", "Cart", "cart.a", "cart-a", "cart_a", "c", "0", "x".repeat(64)];
      const { id } = someKey();
      const keys = names.map((entity) => someKey({ entity, id }));
      for (const key of keys) await written(first, put(key, { data: key.entity }));
      for (const key of keys) equal((await loaded(second, key))?.data, key.entity);
      // A type and an id that read like another type and another id.
      const [one, other] = [
        someKey({ entity: "a.b", id: "c" }),
        someKey({ entity: "a", id: "b.c" }),
      ];
      await written(first, put(one));
      equal(await loaded(second, other), undefined);
    },
  },
  {
    name: "data comes out as it went in, up to its largest size",
    async run(fixture) {
      const [first, second] = await two(fixture);
      const { bytesMax } = first;
      const wide = "é".repeat(Math.floor(bytesMax / 2)) + "x".repeat(bytesMax % 2);
      for (const data of [...HARD_DATA, "x".repeat(bytesMax), wide]) {
        const key = someKey();
        const version = await written(first, put(key, { data }));
        const found = await second.load(key);
        ok(found?.data === data, `${data.length} of ${data.slice(0, 20)}`);
        equal(found.version, version);
        // A refusal carries it as well.
        const late = await writeOne(second, put(key));
        ok(!late.ok && late.current?.data === data);
      }
    },
  },
  {
    name: "data that is one byte too large is refused, and nothing of its batch is written",
    async run(fixture) {
      const [first, second] = await two(fixture);
      const { bytesMax } = first;
      const [key, other] = [someKey(), someKey()];
      const version = await written(first, put(key, { data: "kept" }));
      const wide = "é".repeat(Math.floor(bytesMax / 2)) + "x".repeat(1 + (bytesMax % 2));
      for (const data of ["x".repeat(bytesMax + 1), wide]) {
        const large = put(key, { expected: version, data });
        await rejects(first.write([put(other), large]), failedWith("STATE_TOO_LARGE"));
      }
      deepEqual(await loaded(second, key), { version, fence: fence(1), data: "kept" });
      equal(await loaded(second, other), undefined);
    },
  },
  {
    name: "a batch is carried out write by write and answered in its order",
    async run(fixture) {
      const [first, second] = await two(fixture);
      const keys = Array.from({ length: 500 }, (_, n) => someKey({ shard: n % 32 }));
      const creations = keys.map((key, n) => put(key, { data: `${n}` }));
      const versions = (await first.write(creations)).map(versionOf);
      equal(versions.length, keys.length);
      // Every third one expects too little.
      const changes = keys.map((key, n) =>
        put(key, { expected: n % 3 === 0 ? 0 : versions[n]!, data: `${n} again` }),
      );
      const results = await second.write(changes);
      equal(results.length, keys.length);
      for (const [n, key] of keys.entries()) {
        const version = versions[n]!;
        const kept = { version, fence: fence(1), data: `${n}` };
        if (n % 3 === 0) deepEqual(plain(results[n]), { ok: false, current: kept });
        else ok(versionOf(results[n]) > version);
        equal((await loaded(first, key))?.data, n % 3 === 0 ? `${n}` : `${n} again`);
      }
    },
  },
  {
    name: "writes of one entity in one batch are carried out in their order",
    async run(fixture) {
      const [first, second] = await two(fixture);
      const [key, other] = [someKey(), someKey()];
      const [wrong, created, late, beside] = await first.write([
        put(key, { expected: 7, data: "wrong" }),
        put(key, { data: "created" }),
        put(key, { data: "late" }),
        put(other),
      ]);
      deepEqual(plain(wrong), { ok: false, current: undefined });
      const version = versionOf(created);
      const current = { version, fence: fence(1), data: "created" };
      deepEqual(plain(late), { ok: false, current });
      versionOf(beside);
      const [stale, next, last] = await second.write([
        put(key, { expected: version, fence: "" }),
        put(key, { expected: version, fence: fence(2), data: "next" }),
        put(key, { expected: version, fence: fence(2), data: "last" }),
      ]);
      deepEqual(plain(stale), { ok: false, current });
      const kept = { version: versionOf(next), fence: fence(2), data: "next" };
      deepEqual(plain(last), { ok: false, current: kept });
      deepEqual(await loaded(first, key), kept);
    },
  },
  ...raceChecks,
  ...dueChecks,
  ...forgettingChecks,
  ...pageChecks,
  ...closingChecks,
];
