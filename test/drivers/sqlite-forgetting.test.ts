/** What a file forgets, also one that was made before anything was forgotten. */
import { expect, test } from "bun:test";
import { DatabaseSync } from "node:sqlite";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { sqlite } from "../../src/drivers/sqlite/index.ts";
import type { Store } from "../../src/ports/store.ts";
import { everything, fence, loaded, put, someKey, versionOf, written } from "../contracts/kept.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { TestFolder } from "./sqlite-fixture.ts";
import { openStore } from "./store-fixture.ts";

const DAY_MS = 86_400_000;
const WHERE = { entity: "cart", shard: 3 };

/** As the first files were: a deleted entity had no time. */
const OLD = `
  CREATE TABLE clusters (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, shard_count INTEGER NOT NULL
  );
  CREATE TABLE entities (
    cluster INTEGER NOT NULL, entity TEXT NOT NULL, id TEXT NOT NULL, shard INTEGER NOT NULL,
    version INTEGER NOT NULL, fence TEXT NOT NULL, data BLOB, due REAL,
    UNIQUE (cluster, entity, id)
  );
  CREATE INDEX entities_due ON entities (cluster, entity, shard, due) WHERE due IS NOT NULL;
  PRAGMA application_id = 0x63617467;
  PRAGMA user_version = 1;
  PRAGMA journal_mode = WAL;
  INSERT INTO clusters VALUES (1, 'shared', 32), (2, 'another', 32);
  INSERT INTO entities VALUES
    (1, 'cart', 'kept', 3, 4, '${fence(1)}', CAST('{}' AS BLOB), 5),
    (1, 'cart', 'gone', 3, 2, '${fence(2)}', NULL, NULL),
    (2, 'cart', 'gone', 3, 2, '${fence(2)}', NULL, NULL);
`;

function open(file: string, day: number): Promise<Store> {
  const clock: Clock = {
    ...systemClock,
    nowMs: () => systemClock.nowMs() + day * DAY_MS,
    wallMs: () => systemClock.wallMs() + day * DAY_MS,
  };
  return openStore(sqlite({ file }), "shared", { clock });
}

function query(file: string, text: string): unknown {
  const database = new DatabaseSync(file);
  try {
    return Object.values(database.prepare(text).get() ?? {})[0];
  } finally {
    database.close();
  }
}

test("a file from before is opened, and its deletions are forgotten a week later", async () => {
  using folder = new TestFolder();
  const old = new DatabaseSync(folder.file);
  old.exec(OLD);
  old.close();
  const gone = { ...WHERE, id: "gone" };
  for (const day of [0, 6.9]) {
    const store = await open(folder.file, day);
    expect(await store.due(WHERE, 1e17, 9)).toEqual([{ id: "kept", dueMs: 5 }]);
    const current = { version: 2, fence: fence(2), data: undefined };
    expect(await loaded(store, gone)).toEqual(current);
    const found = (await everything(store)).map(({ id, dueMs }) => ({ id, dueMs }));
    expect(found).toEqual([
      { id: "gone", dueMs: undefined },
      { id: "kept", dueMs: 5 },
    ]);
    await store.close();
  }
  const store = await open(folder.file, 7.1);
  expect(await store.due(WHERE, 1e17, 9)).toEqual([{ id: "kept", dueMs: 5 }]);
  await waitUntil("it is forgotten", async () => (await loaded(store, gone)) === undefined);
  await store.close();
  // For clusters that nobody runs any more it is forgotten as well.
  expect(query(folder.file, "SELECT count(*) FROM entities")).toBe(1);
});

test("many are forgotten step by step, while others are written and deleted", async () => {
  using folder = new TestFolder();
  const before = await open(folder.file, 0);
  const keys = Array.from({ length: 1_700 }, () => someKey(WHERE));
  const ends = keys.map((key) => put(key, { data: undefined }));
  for (const result of await before.write(ends)) versionOf(result);
  await before.close();
  const store = await open(folder.file, 8);
  await store.due(WHERE, 0, 9);
  const count = (): unknown => query(folder.file, "SELECT count(*) FROM entities");
  const others = Array.from({ length: 50 }, () => someKey(WHERE));
  const young = Array.from({ length: 50 }, () => someKey(WHERE));
  for (const key of others) await written(store, put(key));
  for (const key of young) await written(store, put(key, { data: undefined }));
  await waitUntil("they are forgotten", () => count() === others.length + young.length);
  for (const key of young) expect((await loaded(store, key))?.version).toBe(1);
  // What was forgotten leaves its room to others.
  const pages = query(folder.file, "PRAGMA freelist_count");
  expect(pages).toBeGreaterThan(10);
  await store.close();
});
