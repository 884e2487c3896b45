/** Imports: what is there already, what changes meanwhile, what breaks off, how much is held. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { exportEntities, importEntities, type OnConflict } from "../../src/backup/index.ts";
import { memoryStore } from "../../src/drivers/memory/store.ts";
import { type ErrorCode, isCatgaError } from "../../src/index.ts";
import type { StoreDriver, StoreWrite } from "../../src/ports/store.ts";
import { versionOf } from "../contracts/kept.ts";
import { failureOf } from "../drivers/nodes.ts";
import { cart, changed, contentOf, NAME, OWNER, recordOf, storeWith, within } from "./records.ts";

// Processes and disks of a machine that has other things to do.
setDefaultTimeout(60_000);

function linesOf(store: StoreDriver): Promise<string[]> {
  return Array.fromAsync(exportEntities({ store, name: NAME }));
}

const theirs = recordOf("theirs");

/** A store that has one entity otherwise, one just so, and one that was deleted. */
function used(): Promise<StoreDriver> {
  const deleted = cart("c", { data: undefined, fence: OWNER });
  return storeWith(cart("a", { data: theirs, fence: OWNER }), cart("b", { fence: OWNER }), deleted);
}

const EXPECTED: Readonly<Record<OnConflict, object>> = {
  refuse: { imported: 2, unchanged: 1, refused: 1, conflicts: ["cart/a"] },
  skip: { imported: 2, unchanged: 1, refused: 0, skipped: 1, conflicts: [] },
  overwrite: { imported: 2, unchanged: 1, refused: 0, overwritten: 1 },
};

describe("what is there already", () => {
  test.each(["refuse", "skip", "overwrite"] as const)("with %s", async (onConflict) => {
    const lines = await linesOf(await storeWith(...["a", "b", "c", "d"].map((id) => cart(id))));
    const store = await used();
    const result = await importEntities({ store, name: NAME, lines, onConflict });
    expect(result).toMatchObject(EXPECTED[onConflict]);
    const content = await contentOf(store);
    const isKept = onConflict !== "overwrite";
    expect(content.get("a")!.data).toBe(isKept ? theirs : recordOf({ id: "a" }));
    // Whoever owns them there goes on under the fence that it has.
    for (const id of ["a", "b", "c"]) expect(content.get(id)!.fence).toBe(OWNER);
    expect(content.get("c")!.data).toBe(recordOf({ id: "c" }));
    expect(content.get("d")!.fence < "0000000000000001").toBe(true);
  });

  test("is told of no further than a screen shows", async () => {
    const ids = Array.from({ length: 50 }, (_, n) => `${n}`);
    const lines = await linesOf(await storeWith(...ids.map((id) => cart(id))));
    const store = await storeWith(...ids.map((id) => cart(id, { data: theirs })));
    const { refused, conflicts } = await importEntities({ store, name: NAME, lines });
    expect([refused, conflicts.length]).toEqual([50, 20]);
  });

  test("an unknown way to treat it is refused", async () => {
    const options = { store: memoryStore(), lines: [], onConflict: "ask" as never };
    expect(await failureOf(importEntities(options))).toBeInstanceOf(TypeError);
    const stranger = { store: { name: "mine" }, lines: [] };
    const lines = await linesOf(await storeWith());
    expect(await failureOf(importEntities({ ...stranger, lines }))).toBeInstanceOf(TypeError);
  });
});

describe("an entity that comes twice, for it has changed during the export", () => {
  const writes: StoreWrite[] = [cart("a", { data: recordOf("old") })];
  async function twice(): Promise<string[]> {
    const store = await storeWith(...writes);
    const moving = changed(store, (inner) => ({
      async page(after) {
        if (after !== undefined) return inner.page();
        const page = await inner.page();
        const expected = page.found[0]!.version;
        const change = cart("a", { expected, data: recordOf("new") });
        versionOf((await inner.write([change]))[0]);
        return { ...page, next: "again" };
      },
    }));
    return linesOf(moving);
  }

  test("is what it was last, however often it is imported", async () => {
    const lines = await twice();
    expect(lines).toHaveLength(4);
    const store = memoryStore();
    for (let turn = 0; turn < 3; turn++) {
      const result = await importEntities({ store, name: NAME, lines });
      expect(result).toMatchObject({ refused: 0 });
      expect((await contentOf(store)).get("a")!.data).toBe(recordOf("new"));
    }
  });
});

describe("an import that breaks off", () => {
  test("is made again, and then all is there once", async () => {
    const ids = Array.from({ length: 2_000 }, (_, n) => `${n}`);
    const lines = await linesOf(await storeWith(...ids.map((id) => cart(id, { dueMs: 7 }))));
    const inner = memoryStore();
    for (const good of [1, 3]) {
      let left = good;
      const dying = changed(inner, (store) => ({
        async write(batch) {
          if (left-- > 0) return store.write(batch);
          // A part of it is carried out, as when a process dies.
          await store.write(batch.slice(0, 9));
          throw new Error("it is gone");
        },
      }));
      const failure = await failureOf(importEntities({ store: dying, name: NAME, lines }));
      expect((failure as Error).message).toBe("it is gone");
    }
    const result = await importEntities({ store: inner, name: NAME, lines });
    expect(result.imported + result.unchanged).toBe(ids.length);
    expect(result.unchanged).toBe(3 * 256 + 9);
    expect((await contentOf(inner)).size).toBe(ids.length);
  });

  test("beside somebody who writes all the time gives that entity up, and counts it", async () => {
    const lines = await linesOf(await storeWith(cart("a")));
    const store = changed(await storeWith(cart("a", { data: theirs })), (inner) => ({
      async write(batch) {
        const current = (await inner.load(batch[0]!))!;
        const data = recordOf(current.version);
        await inner.write([cart("a", { expected: current.version, data })]);
        return inner.write(batch);
      },
    }));
    const result = await importEntities({ store, name: NAME, lines, onConflict: "overwrite" });
    expect(result).toMatchObject({ overwritten: 0, refused: 1 });
  });
});

describe("20,000 entities", () => {
  const COUNT = 20_000;

  test("are never in memory together", async () => {
    const writes = Array.from({ length: COUNT }, (_, n) => cart(`${n}`));
    const source = await storeWith(...writes);
    const load = { pages: 0, read: 0, taken: 0, written: 0, writing: 0, aheadMax: 0, batchMax: 0 };
    const from = changed(source, (store) => ({
      async page(after) {
        load.pages++;
        // Nothing of the next page is asked for before this one is taken.
        expect(load.taken).toBe(load.read);
        const page = await store.page(after);
        load.read += page.found.length;
        return page;
      },
    }));
    const to = changed(memoryStore(), (store) => ({
      async write(batch) {
        expect(++load.writing).toBe(1);
        load.batchMax = Math.max(load.batchMax, batch.length);
        const results = await store.write(batch);
        load.writing--;
        load.written += batch.length;
        return results;
      },
    }));
    const lines = async function* (): AsyncGenerator<string, void> {
      for await (const line of exportEntities({ store: from, name: NAME })) {
        if (line.startsWith('{"entity"')) load.taken++;
        load.aheadMax = Math.max(load.aheadMax, load.taken - load.written);
        yield line;
      }
    };
    const seen: number[] = [];
    const onProgress = ({ done, total }: { done: number; total: number | undefined }): void => {
      expect(total).toBe(COUNT);
      seen.push(done);
    };
    const store = { store: to, name: NAME, onProgress };
    const result = await importEntities({ ...store, lines: lines() });
    expect(result.imported).toBe(COUNT);
    expect(load.pages).toBe(COUNT / 500);
    expect([load.batchMax, load.aheadMax]).toEqual([256, 257]);
    expect(seen).toEqual(seen.toSorted((one, other) => one - other));
    expect(seen.at(-1)).toBe(COUNT);
  });

  test("are let go of when nobody takes their lines any more", async () => {
    let closed = 0;
    const store = changed(await storeWith(cart("a"), cart("b")), (inner) => ({
      async close() {
        closed++;
        await inner.close();
      },
    }));
    for await (const line of exportEntities({ store, name: NAME })) {
      expect(line).toContain(NAME);
      break;
    }
    expect(closed).toBe(1);
  });
});

test("an export takes the number of shards from the store, and gives it to a new one", async () => {
  const from = await storeWith(cart("a"));
  const lines = await linesOf(from);
  const to = memoryStore();
  await importEntities({ store: to, name: NAME, lines });
  // Opens with 32 alone.
  expect(await within(to, async (store) => (await store.page()).total)).toBe(1);
  const differs: ErrorCode = "SETTINGS_DIFFER";
  const failed = await failureOf(importEntities({ store: to, name: NAME, lines, shardCount: 64 }));
  expect(isCatgaError(failed, differs)).toBe(true);
});
