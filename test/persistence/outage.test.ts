/** How a node asks a store for reminders that does not answer. */
import { expect, spyOn, test } from "bun:test";
import { CatgaError, command, defineEntity } from "../../src/index.ts";
import type { Store } from "../../src/ports/store.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { SimulatedStore } from "../../src/testing/store.ts";

const Kept = defineEntity("kept", {
  messages: { touch: command() },
  persistence: "write-through",
  state: () => ({}),
  handlers: { touch: () => {} },
});

/** Runs `run` with simulated stores that answer who is due as `due` does. */
async function withDue(
  due: (store: Store, ...words: Parameters<Store["due"]>) => ReturnType<Store["due"]>,
  run: () => Promise<void>,
): Promise<void> {
  const original = Object.getOwnPropertyDescriptor(SimulatedStore.prototype, "connect")!.value;
  const spy = spyOn(SimulatedStore.prototype, "connect").mockImplementation(function (
    this: SimulatedStore,
    node: string,
  ) {
    const store = (original as (node: string) => Store).call(this, node);
    return { ...store, due: (...words) => due(store, ...words) };
  });
  try {
    await run();
  } finally {
    spy.mockRestore();
  }
}

let rung = 0;
/** Leaves memory at once, and rings later. */
const Ringing = defineEntity("ringing", {
  messages: { set: command(), ring: command() },
  persistence: "write-through",
  state: () => ({}),
  handlers: {
    async set(ctx) {
      await ctx.remind("r", { in: "2m" }, { type: "ring" });
      ctx.passivate();
    },
    ring: () => void rung++,
  },
});

test("a store that is away is asked for reminders no more often as time goes by", async () => {
  let asked = 0;
  const count = (store: Store, ...words: Parameters<Store["due"]>): ReturnType<Store["due"]> => {
    asked++;
    return store.due(...words);
  };
  await withDue(count, async () => {
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
  });
});

test("what keeps one type from being asked for keeps no other from its reminders", async () => {
  const odd = new CatgaError("STORE_UNAVAILABLE", { store: "it", reason: "it is odd" });
  const refuse = (store: Store, ...words: Parameters<Store["due"]>): ReturnType<Store["due"]> =>
    words[0].entity === "kept" ? Promise.reject(odd) : store.due(...words);
  await withDue(refuse, async () => {
    rung = 0;
    const entities = [Kept, Ringing];
    await using cluster = await TestCluster.start({ nodes: 1, entities, shardCount: 4 });
    const bell = cluster.node("n1").entity(Ringing, "a");
    await cluster.run(bell.send({ type: "set" }));
    await cluster.advance("5m");
    expect(rung).toBe(1);
  });
});
