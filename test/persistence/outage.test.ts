/** How often a node asks a store that does not answer. */
import { expect, spyOn, test } from "bun:test";
import { command, defineEntity } from "../../src/index.ts";
import type { Store } from "../../src/ports/store.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { SimulatedStore } from "../../src/testing/store.ts";

const Kept = defineEntity("kept", {
  messages: { touch: command() },
  persistence: "write-through",
  state: () => ({}),
  handlers: { touch: () => {} },
});

test("a store that is away is asked for reminders no more often as time goes by", async () => {
  let asked = 0;
  const original = Object.getOwnPropertyDescriptor(SimulatedStore.prototype, "connect")!.value;
  const spy = spyOn(SimulatedStore.prototype, "connect").mockImplementation(function (
    this: SimulatedStore,
    node: string,
  ) {
    const store = (original as (node: string) => Store).call(this, node);
    return { ...store, due: (...words) => (asked++, store.due(...words)) };
  });
  try {
    await using cluster = await TestCluster.start({ nodes: 1, entities: [Kept], shardCount: 4 });
    cluster.partition(["n1"], ["store"]);
    const perMinute: number[] = [];
    for (let minute = 0; minute < 10; minute++) {
      asked = 0;
      await cluster.advance("1m");
      perMinute.push(asked);
    }
    const [, second] = perMinute;
    expect(perMinute.at(-1)!).toBeLessThan(1.5 * second!);
  } finally {
    spy.mockRestore();
  }
});
