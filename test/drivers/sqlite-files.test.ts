/** What becomes of a store whose file is damaged, full, somebody else's, or taken away. */
import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { sqlite } from "../../src/drivers/sqlite/index.ts";
import type { Store } from "../../src/ports/store.ts";
import { failedWith, fence, put, someKey, versionOf, writeOne } from "../contracts/kept.ts";
import { RUNTIMES } from "../runtimes/member-process.ts";
import { dataOf, recordOf } from "./sqlite-load.ts";
import { TestFolder } from "./sqlite-fixture.ts";
import { openStore } from "./store-fixture.ts";

const ENTITIES = 400;
const PAGE_BYTES = 4_096;
const OTHERS = 0o077;
const isUnavailable = failedWith("STORE_UNAVAILABLE");

const open = (file: string): Promise<Store> => openStore(sqlite({ file }), "shared");
const failureOf = (doing: Promise<unknown>): Promise<unknown> =>
  doing.then(
    () => undefined,
    (error: unknown) => error,
  );

const sql = (text: string) => (file: string) => {
  const database = new DatabaseSync(file);
  database.exec(text);
  database.close();
};

/** A file with records `dataOf("kept", n)`. */
async function fill(file: string): Promise<void> {
  const store = await open(file);
  const writes = Array.from({ length: ENTITIES }, (_, n) =>
    put(recordOf("kept", n), { data: dataOf("kept", n), dueMs: n }),
  );
  for (const result of await store.write(writes)) versionOf(result);
  await store.close();
}

/** How many records came back; of each, either all that was written, or that it cannot be read. */
async function readable(store: Store): Promise<number> {
  let count = 0;
  for (let n = 0; n < ENTITIES; n++) {
    const key = recordOf("kept", n);
    try {
      const kept = await store.load(key);
      expect(kept).toEqual({ version: 1, fence: fence(1), data: dataOf("kept", n) });
      count++;
    } catch (error) {
      if (!isUnavailable(error)) throw error;
    }
  }
  return count;
}

describe("a file that is not this store's is refused and stays as it is", () => {
  test.each([
    ["no database", (file: string) => writeFileSync(file, "Dear diary, ".repeat(1_000))],
    ["a short text", (file: string) => writeFileSync(file, "{}")],
    ["a database of another program", sql("CREATE TABLE entities (a); PRAGMA user_version = 1")],
    ["an empty one of another program", sql("PRAGMA application_id = 7; PRAGMA user_version = 1")],
  ])("%s", async (_, make) => {
    using folder = new TestFolder();
    make(folder.file);
    const before = readFileSync(folder.file);
    expect(isUnavailable(await failureOf(open(folder.file)))).toBe(true);
    expect(readFileSync(folder.file)).toEqual(before);
    expect(existsSync(`${folder.file}-wal`)).toBe(false);
  });

  test("one of a later version", async () => {
    using folder = new TestFolder();
    await fill(folder.file);
    sql("PRAGMA user_version = 2")(folder.file);
    const before = readFileSync(folder.file);
    expect(isUnavailable(await failureOf(open(folder.file)))).toBe(true);
    expect(readFileSync(folder.file)).toEqual(before);
  });

  test.each(["a folder", "a place below a file"])("%s", async (what) => {
    using folder = new TestFolder();
    writeFileSync(folder.file, "text");
    const place = what === "a folder" ? folder.path : join(folder.file, "store.db");
    expect(isUnavailable(await failureOf(open(place)))).toBe(true);
    expect(readFileSync(folder.file, "utf8")).toBe("text");
  });
});

describe("of a damaged file what can be read is right, and the rest is refused", () => {
  test.each([1 / 2, 1 / 3])("when its end is missing: %d are left", async (part) => {
    using folder = new TestFolder();
    await fill(folder.file);
    const pages = statSync(folder.file).size / PAGE_BYTES;
    truncateSync(folder.file, Math.floor(pages * part) * PAGE_BYTES);
    const before = readFileSync(folder.file);
    expect(isUnavailable(await failureOf(open(folder.file)))).toBe(true);
    expect(readFileSync(folder.file)).toEqual(before);
  });

  test("when parts of it were overwritten", async () => {
    using folder = new TestFolder();
    await fill(folder.file);
    const bytes = readFileSync(folder.file);
    // The heads of some of the later pages; the first ones say what is where.
    for (let page = 40; page * PAGE_BYTES < bytes.length; page += 7) {
      bytes.fill(0xee, page * PAGE_BYTES, page * PAGE_BYTES + 4);
    }
    writeFileSync(folder.file, bytes);
    const store = await open(folder.file);
    const count = await readable(store);
    expect(count).toBeGreaterThan(0);
    expect(count).toBeLessThan(ENTITIES);
    // Neither is a record that cannot be read replaced, nor does it keep others from being written.
    const keys = Array.from({ length: ENTITIES }, (_, n) => recordOf("kept", n));
    const failures = await Promise.all(keys.map((key) => failureOf(store.load(key))));
    const [lost, kept] = [failures.findIndex(Boolean), failures.indexOf(undefined)];
    const rewrite = (n: number): Promise<unknown> =>
      writeOne(store, put(keys[n]!, { expected: 1, data: dataOf("kept", n) }));
    const [one, other] = await Promise.allSettled([rewrite(lost), rewrite(kept)]);
    expect(one.status === "rejected" && isUnavailable(one.reason)).toBe(true);
    expect(other.status).toBe("fulfilled");
    await store.close();
  });
});

test("a store whose file is taken away refuses, and makes no other one", async () => {
  using folder = new TestFolder();
  await fill(folder.file);
  const store = await open(folder.file);
  const key = recordOf("kept", 0);
  renameSync(folder.file, `${folder.file}.away`);
  expect(isUnavailable(await failureOf(store.load(key)))).toBe(true);
  expect(isUnavailable(await failureOf(store.write([put(someKey())])))).toBe(true);
  expect(existsSync(folder.file)).toBe(false);
  renameSync(`${folder.file}.away`, folder.file);
  expect((await store.load(key))?.data).toBe(dataOf("kept", 0));
  await store.close();
});

test.each(Object.entries(RUNTIMES))(
  "where no more can be written nothing that was acknowledged is lost: %s",
  async (_, [command, ...args]) => {
    using folder = new TestFolder();
    const program = join(import.meta.dir, "sqlite-program.ts");
    const words = [command, ...args.slice(0, -1), program, "fill", folder.file, "full"];
    // Files of 512 kB; without the trap the system would kill who goes beyond.
    const script = `trap "" XFSZ; ulimit -f 1024; exec "$@"`;
    const { stdout } = spawnSync("sh", ["-c", script, "sh", ...words], { encoding: "utf8" });
    const said = JSON.parse(stdout) as { readonly acknowledged: number };
    expect(said).toMatchObject({ code: "STORE_UNAVAILABLE", isReadable: true });
    expect(said.acknowledged).toBeGreaterThan(10);
    const store = await open(folder.file);
    for (let n = 0; n < said.acknowledged; n++) {
      expect((await store.load(recordOf("full", n)))?.data).toBe(dataOf("full", n));
    }
    versionOf(await writeOne(store, put(someKey())));
    await store.close();
  },
  30_000,
);

test("the log does not grow while several write, and is gone when all have closed", async () => {
  using folder = new TestFolder();
  const stores = [await open(folder.file), await open(folder.file)];
  const log = `${folder.file}-wal`;
  let largest = 0;
  for (let round = 0; round < 15; round++) {
    const writing = stores.map(async (store) => {
      const keys = Array.from({ length: 100 }, () => someKey());
      for (const key of keys) await writeOne(store, put(key, { data: "x".repeat(8_000) }));
    });
    await Promise.all(writing);
    largest = Math.max(largest, statSync(log).size);
  }
  expect(largest).toBeLessThan(16 * 1_048_576);
  for (const store of stores) await store.close();
  expect(existsSync(log)).toBe(false);
}, 30_000);

test("without a file it is one for the cluster, which nobody else can read", async () => {
  using folder = new TestFolder();
  const before = process.env["XDG_STATE_HOME"];
  process.env["XDG_STATE_HOME"] = folder.path;
  try {
    const store = await openStore(sqlite(), "carts");
    versionOf(await writeOne(store, put(someKey())));
    const file = join(folder.path, "catga", "carts.db");
    for (const path of [join(folder.path, "catga"), file, `${file}-wal`]) {
      expect(statSync(path).mode & OTHERS).toBe(0);
    }
    await store.close();
  } finally {
    if (before === undefined) delete process.env["XDG_STATE_HOME"];
    else process.env["XDG_STATE_HOME"] = before;
  }
});

test.each([
  { files: "store.db" },
  { file: "" },
  { file: ":memory:" },
  { file: "file:store.db?mode=ro" },
  { synchronous: "off" },
])("the options %j are refused at once", (options) => {
  expect(() => sqlite(options as Parameters<typeof sqlite>[0])).toThrow(TypeError);
});
