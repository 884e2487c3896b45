/** What stores forget: entities that were deleted a week ago, and nothing else. */
import { deepEqual, equal } from "node:assert/strict";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import type { Store } from "../../src/ports/store.ts";
import type { Check } from "./check.ts";
import { everything, fence, loaded, put, refused, someKey } from "./kept.ts";
import { type StoreFixture, versionOf, written } from "./kept.ts";

const DAY_MS = 86_400_000;
const WHERE = { entity: "cart", shard: 3 };
const MANY = 10_000;

/** The part of the contract that is about deleted entities after a long time. */
export const forgettingChecks: readonly Check<StoreFixture>[] = [
  {
    name: "a deleted entity is forgotten after a week, and not before; nothing else is",
    async run(fixture) {
      const days = calendar(fixture);
      const store = await days.at(0);
      const [gone, back, kept, moved] = [1, 2, 3, 4].map(() => someKey(WHERE));
      const created = await written(store, put(gone!, { dueMs: 5, fence: fence(2) }));
      const end = { expected: created, fence: fence(3), data: undefined };
      const deleted = await written(store, put(gone!, end));
      const left = await written(store, put(back!, { data: undefined }));
      const again = await written(store, put(back!, { expected: left, dueMs: 7 }));
      const stays = await written(store, put(kept!, { dueMs: 6 }));
      // One that is deleted a second time begins another week.
      const first = await written(store, put(moved!, { data: undefined }));
      const later = await days.at(5);
      const stamp = { expected: first, data: undefined, fence: fence(4) };
      const second = await written(later, put(moved!, stamp));

      const early = await days.at(6.9);
      const current = { version: deleted, fence: fence(3), data: undefined };
      deepEqual(await loaded(early, gone!), current);
      await refused(early, put(gone!, { fence: fence(3) }), current);
      deepEqual(
        (await early.due(WHERE, 1e17, MANY)).map(({ id }) => id),
        [kept!.id, back!.id],
      );

      const late = await days.at(7.1);
      equal(await loaded(late, gone!), undefined);
      equal((await loaded(late, back!))?.version, again);
      equal((await loaded(late, kept!))?.version, stays);
      const other = { version: second, fence: fence(4), data: undefined };
      deepEqual(await loaded(late, moved!), other);
      deepEqual(
        (await late.due(WHERE, 1e17, MANY)).map(({ id }) => id),
        [kept!.id, back!.id],
      );
      equal(await loaded(await days.at(13), moved!), undefined);
    },
  },
  {
    name: "what is forgotten is created anew, by nobody who expects the deletion",
    async run(fixture) {
      const days = calendar(fixture);
      const store = await days.at(0);
      const keys = Array.from({ length: 50 }, (_, n) => someKey({ shard: n % 32 }));
      const versions = (await store.write(keys.map((key) => put(key)))).map(versionOf);
      const ends = keys.map((key, n) => put(key, { expected: versions[n]!, data: undefined }));
      const deleted = (await store.write(ends)).map(versionOf);
      await days.at(8);
      const late = await days.at(8);
      for (const [n, key] of keys.entries()) {
        // Also one who has deleted it and knows by which step.
        for (const writer of [store, late]) {
          await refused(writer, put(key, { expected: deleted[n]!, fence: fence(9) }), undefined);
        }
        await written(n % 2 === 0 ? store : late, put(key, { data: "new" }));
        equal((await loaded(late, key))?.data, "new");
      }
      const found = (await everything(await days.at(16))).map(({ id }) => id);
      deepEqual(
        keys.filter(({ id }) => !found.includes(id)),
        [],
      );
    },
  },
];

/** Opens stores some days from now, each after one was in use there for a while. */
function calendar(fixture: StoreFixture): { readonly at: (day: number) => Promise<Store> } {
  return {
    async at(day) {
      const clock: Clock = {
        ...systemClock,
        nowMs: () => systemClock.nowMs() + day * DAY_MS,
        wallMs: () => systemClock.wallMs() + day * DAY_MS,
      };
      const store = await fixture.open({ clock });
      await store.due(WHERE, 0, MANY);
      await written(store, put(someKey({ entity: "other" })));
      await store.close();
      return fixture.open({ clock });
    },
  };
}
