/** What stores do when several nodes, or one node several times, ask at the same time. */
import { deepEqual, equal, ok } from "node:assert/strict";
import type { Check } from "./check.ts";
import {
  fence,
  loaded,
  plain,
  put,
  someKey,
  type StoreFixture,
  two,
  versionOf,
  writeOne,
  written,
} from "./kept.ts";

/** The part of the contract that is about races. */
export const raceChecks: readonly Check<StoreFixture>[] = [
  {
    name: "of those who race for one record exactly one wins, and the others learn who",
    async run(fixture) {
      const stores = [...(await two(fixture)), await fixture.open()];
      const key = someKey();
      let version = 0;
      for (let round = 0; round < 150; round++) {
        const bids = stores.map((_, i) => put(key, { expected: version, data: `${round}/${i}` }));
        const results = await Promise.all(stores.map((store, i) => writeOne(store, bids[i]!)));
        const winners = bids.filter((_, i) => results[i]!.ok);
        equal(winners.length, 1, `round ${round}: ${JSON.stringify(results)}`);
        version = versionOf(results.find((result) => result.ok));
        const current = { version, fence: fence(1), data: winners[0]!.data };
        for (const result of results) {
          if (!result.ok) deepEqual(plain(result), { ok: false, current });
        }
      }
    },
  },
  {
    name: "of a creation and a deletion that race exactly one wins",
    async run(fixture) {
      const [first, second] = await two(fixture);
      const key = someKey();
      let version = 0;
      for (let round = 0; round < 50; round++) {
        const results = await Promise.all([
          writeOne(first, put(key, { expected: version, data: `${round}` })),
          writeOne(second, put(key, { expected: version, data: undefined })),
        ]);
        equal(results.filter((result) => result.ok).length, 1);
        version = versionOf(results.find((result) => result.ok));
        const data = results[0].ok ? `${round}` : undefined;
        deepEqual(await loaded(round % 2 === 0 ? first : second, key), {
          version,
          fence: fence(1),
          data,
        });
      }
    },
  },
  {
    name: "after a higher fence was written nobody sees a lower one written, however they race",
    async run(fixture) {
      const [zombie, owner] = await two(fixture);
      for (let round = 0; round < 50; round++) {
        const key = someKey();
        const version = await written(zombie, put(key));
        const late = put(key, { expected: version, fence: fence(1), data: "late" });
        const stamp = put(key, { expected: version, fence: fence(2), data: "stamp" });
        const [lateResult, stampResult] = await Promise.all([
          writeOne(zombie, late),
          writeOne(owner, stamp),
        ]);
        ok(lateResult.ok !== stampResult.ok);
        const current = (await loaded(owner, key))!;
        equal(current.data, stampResult.ok ? "stamp" : "late");
        if (!stampResult.ok) await written(owner, { ...stamp, expected: current.version });
        const tooLate = await writeOne(zombie, { ...late, expected: current.version });
        ok(!tooLate.ok && tooLate.current?.fence === fence(2));
      }
    },
  },
  {
    name: "what anybody was told of is seen by whoever asks then, by batches and one by one",
    async run(fixture) {
      const [first, second] = await two(fixture);
      const keys = Array.from({ length: 20 }, (_, n) => someKey({ shard: n }));
      const versions = keys.map(() => 0);
      for (let round = 0; round < 20; round++) {
        const [writer, reader] = round % 2 === 0 ? [first, second] : [second, first];
        const changes = keys.map((key, n) =>
          put(key, { expected: versions[n]!, data: `${round}`, dueMs: round }),
        );
        const results = await writer.write(changes);
        for (const [n, result] of results.entries()) versions[n] = versionOf(result);
        const found = await Promise.all(keys.map((key) => loaded(reader, key)));
        deepEqual(
          found.map((record) => record?.version),
          versions,
        );
        const [one] = keys;
        const due = await reader.due({ entity: one!.entity, shard: one!.shard }, round, 10);
        ok(due.some(({ id, dueMs }) => id === one!.id && dueMs === round));
      }
    },
  },
  {
    name: "what one node asks at the same time is answered each by itself",
    async run(fixture) {
      const [first, second] = await two(fixture);
      const keys = Array.from({ length: 200 }, (_, n) => someKey({ shard: n % 32 }));
      const versions = await Promise.all(
        keys.map((key) => written(first, put(key, { data: key.id }))),
      );
      const found = await Promise.all([...keys, someKey()].map((key) => loaded(second, key)));
      equal(found.pop(), undefined);
      deepEqual(
        found,
        keys.map(({ id }, n) => ({ version: versions[n]!, fence: fence(1), data: id })),
      );
      // Batches of two nodes over the same entities, each in another order: nothing blocks.
      const changes = keys.map((key, n) => put(key, { expected: versions[n]!, data: "next" }));
      const [ours, theirs] = await Promise.all([
        first.write(changes),
        second.write(changes.toReversed()),
      ]);
      for (const [n, result] of ours.entries()) ok(result.ok !== theirs.at(-1 - n)!.ok);
    },
  },
  {
    name: "a batch with much data is written whole",
    async run(fixture) {
      const [first, second] = await two(fixture);
      const data = "é".repeat(Math.floor(first.bytesMax / 2));
      const keys = Array.from({ length: 4 }, (_, n) => someKey({ shard: n }));
      const results = await first.write(keys.map((key) => put(key, { data })));
      for (const [n, key] of keys.entries()) {
        const found = await second.load(key);
        ok(found?.data === data);
        equal(found.version, versionOf(results[n]));
      }
    },
  },
];
