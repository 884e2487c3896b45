/** How stores end, and what is left of what was written. */
import { deepEqual, equal, rejects } from "node:assert/strict";
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
  written,
} from "./kept.ts";

/** The part of the contract that is about the end of a store. */
export const closingChecks: readonly Check<StoreFixture>[] = [
  {
    name: "what was written is there when all have closed and one opens again",
    async run(fixture) {
      const [first, second] = await two(fixture);
      const [key, gone] = [someKey(), someKey()];
      const version = await written(first, put(key, { dueMs: 5, data: "kept" }));
      const end = await written(first, put(gone, { fence: fence(7), data: undefined }));
      await Promise.all([first.close(), second.close()]);
      const late = await fixture.open();
      deepEqual(await loaded(late, key), { version, fence: fence(1), data: "kept" });
      const where = { entity: key.entity, shard: key.shard };
      deepEqual(await late.due(where, 5, 9), [{ id: key.id, dueMs: 5 }]);
      await refused(late, put(gone), { version: end, fence: fence(7), data: undefined });
      equal((await everything(late)).length, 2);
    },
  },
  {
    name: "a store that was closed carries nothing out, and the others go on",
    async run(fixture) {
      const [first, second] = await two(fixture);
      const key = someKey();
      const version = await written(second, put(key));
      await second.close();
      const isClosed = failedWith("STORE_UNAVAILABLE");
      await rejects(second.load(key), isClosed);
      await rejects(second.write([put(key, { expected: version, data: "late" })]), isClosed);
      await rejects(second.due({ entity: key.entity, shard: key.shard }, 1, 1), isClosed);
      await rejects(second.page(), isClosed);
      await refused(first, put(key), { version, fence: fence(1), data: "{}" });
      await written(first, put(key, { expected: version }));
    },
  },
  {
    name: "a store may be closed twice, also at the same time",
    async run(fixture) {
      const [first, second] = await two(fixture);
      await Promise.all([second.close(), second.close()]);
      await second.close();
      await written(first, put(someKey()));
    },
  },
  {
    name: "what is under way when a store closes is finished first",
    async run(fixture) {
      const [first, second] = await two(fixture);
      const keys = Array.from({ length: 20 }, (_, n) => someKey({ shard: n }));
      const answered: string[] = [];
      const writing = keys.map(async (key) => {
        await written(second, put(key));
        answered.push(key.id);
      });
      const reading = second.load(keys[0]!);
      await second.close();
      await reading;
      await Promise.all(writing);
      equal(answered.length, keys.length);
      for (const key of keys) equal((await loaded(first, key))?.data, "{}");
    },
  },
];
