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
const progress = new Progress(clock, new Events({ log: silentLogger, clock }));

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
