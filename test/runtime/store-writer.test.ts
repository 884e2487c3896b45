/** How the writes of a burst leave: together, and in parts where they are many. */
import { expect, test } from "bun:test";
import type { Store, StoreWrite } from "../../src/ports/store.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { Events } from "../../src/runtime/events.ts";
import { Progress } from "../../src/runtime/progress.ts";
import { StoreWriter } from "../../src/runtime/store-writer.ts";
import { FakeClock } from "../base/fake-clock.ts";
import { failureOf } from "../drivers/nodes.ts";

const clock = new FakeClock();
const events = new Events({ log: silentLogger, clock });
const progress = new Progress(clock, events);

const write = (n: number): StoreWrite => ({
  entity: "cart",
  id: `${n}`,
  shard: 0,
  expected: n,
  fence: "1",
  data: "{}",
  dueMs: undefined,
});

/** A writer on a store that fails what it is given together with `broken`. */
function writerOn(broken = ""): { readonly writer: StoreWriter; readonly sizes: number[] } {
  const sizes: number[] = [];
  const store: Partial<Store> = {
    async write(writes) {
      sizes.push(writes.length);
      if (writes.some(({ id }) => id === broken)) throw new Error("it stumbles");
      return writes.map(({ expected }) => ({ ok: true, version: expected + 1 }));
    },
  };
  return { writer: new StoreWriter(store as Store, progress), sizes };
}

test("a burst leaves together, a long one in parts, and each write has its result", async () => {
  const { writer, sizes } = writerOn();
  const burst = async (count: number): Promise<void> => {
    const results = await Promise.all(
      Array.from({ length: count }, (_, n) => writer.write(write(n))),
    );
    for (const [n, result] of results.entries())
      expect(result).toEqual({ ok: true, version: n + 1 });
  };
  await burst(3);
  expect(sizes.splice(0)).toEqual([3]);
  await burst(64);
  expect(sizes.splice(0)).toEqual([64]);
  await burst(150);
  expect(sizes.splice(0)).toEqual([64, 64, 22]);
  await burst(1);
  expect(sizes).toEqual([1]);
});

test("one write that the store stumbles over fails alone", async () => {
  const { writer, sizes } = writerOn("1");
  const results = [0, 1, 2].map((n) => writer.write(write(n)));
  expect(await results[0]).toEqual({ ok: true, version: 1 });
  expect(await failureOf(results[1]!)).toEqual(new Error("it stumbles"));
  expect(await results[2]).toEqual({ ok: true, version: 3 });
  expect(sizes).toEqual([3, 1, 1, 1]);
});

test("a store that hangs is told of, with what it was asked, until it answers", async () => {
  const stuck: string[] = [];
  events.on("stuck", ({ what }) => stuck.push(what));
  const loaded = Promise.withResolvers<undefined>();
  const written = Promise.withResolvers<never>();
  const store: Partial<Store> = { load: () => loaded.promise, write: () => written.promise };
  const writer = new StoreWriter(store as Store, progress);
  const loading = writer.load({ entity: "cart", id: "7", shard: 0 });
  const failure = failureOf(writer.write(write(1)));
  await Promise.resolve();
  for (let second = 0; second < 30; second++) {
    progress.tick(1_000);
    clock.advance(1_000);
  }
  expect(stuck).toEqual([]);
  progress.tick(1_000);
  await Promise.resolve();
  const both = ["a read of cart/7", "a write that begins with cart/1"];
  expect(stuck).toEqual(both.map((what) => `the store: ${what} has not ended for 30 s`));
  loaded.resolve(undefined);
  await loading;
  expect(progress.overdue.map(({ what }) => what)).toEqual([
    "the store: a write that begins with cart/1 has not ended for 30 s",
  ]);
  written.reject(new Error("it stumbles"));
  expect(await failure).toEqual(new Error("it stumbles"));
  expect(progress.overdue).toEqual([]);
});

test("writes that are refused are counted as conflicts, and fail nothing", async () => {
  const store: Partial<Store> = {
    write: async (writes) => writes.map(({ id }) => ({ ok: id !== "1", version: 1 }) as never),
  };
  const writer = new StoreWriter(store as Store, progress);
  await Promise.all([0, 1, 2].map((n) => writer.write(write(n))));
  expect(writer.counts).toMatchObject({ reads: 0, writes: 3, conflicts: 1, failed: 0 });
});
