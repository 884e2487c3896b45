/** The thread of a SQLite store ends when nobody has asked it to. */
import { expect, spyOn, test } from "bun:test";
import { Worker } from "node:worker_threads";
import { sqlite } from "../../src/drivers/sqlite/index.ts";
import { put, someKey, writeOne } from "../contracts/kept.ts";
import { failureOf } from "./nodes.ts";
import { TestFolder } from "./sqlite-fixture.ts";
import { openStore } from "./store-fixture.ts";

test("another thread goes on where one has failed, whose answers are unknown", async () => {
  using folder = new TestFolder();
  const threads = new Set<Worker>();
  const original = Object.getOwnPropertyDescriptor(Worker.prototype, "postMessage")!.value;
  const spy = spyOn(Worker.prototype, "postMessage").mockImplementation(function (
    this: Worker,
    ...words: unknown[]
  ) {
    threads.add(this);
    (original as (...words: unknown[]) => void).apply(this, words);
  });
  try {
    const store = await openStore(sqlite({ file: folder.file }), "shop");
    const key = someKey();
    await writeOne(store, put(key, {}));
    const before = await store.load(key);
    const ended = [...threads].map((thread) => thread.terminate());
    const asked = failureOf(store.load(key));
    await Promise.all(ended);
    expect(await asked).toMatchObject({
      code: "STORE_UNAVAILABLE",
      details: { store: `SQLite at ${folder.file}`, reason: "its thread has ended" },
    });
    expect(await store.load(key)).toEqual(before);
    expect(threads.size).toBe(2);
    await store.close();
    expect(await failureOf(store.load(key))).toMatchObject({ details: { reason: "it is closed" } });
    expect(threads.size).toBe(2);
  } finally {
    spy.mockRestore();
  }
});
