/** What the memory store does beside its contract: it forgets, in time, what was deleted. */
import { expect, test } from "bun:test";
import { DELETED_MS } from "../../src/base/limits.ts";
import { Shelf } from "../../src/drivers/memory/shelf.ts";
import { fence, put, someKey } from "../contracts/kept.ts";

test("a deleted entity stays for its time, and one that came back stays for good", () => {
  const shelf = new Shelf();
  const [gone, back, last] = [someKey(), someKey(), someKey()];
  for (const key of [gone, back]) {
    shelf.write(put(key), 0);
    shelf.write(put(key, { expected: 1, data: undefined, dueMs: 5 }), 10);
  }
  shelf.write(put(back, { expected: 2, dueMs: 5 }), 20);
  shelf.write(put(last), DELETED_MS + 9);
  expect(shelf.load(gone)).toEqual({ version: 2, fence: fence(1), data: undefined });
  shelf.write(put(last, { expected: 1 }), DELETED_MS + 10);
  expect(shelf.load(gone)).toBeUndefined();
  expect(shelf.load(back)?.version).toBe(3);
  const { entity, shard } = gone;
  expect(shelf.due({ entity, shard }, 5, 9)).toEqual([{ id: back.id, dueMs: 5 }]);
  expect(shelf.page().found.map(({ id }) => id)).toEqual([back.id, last.id]);
});
