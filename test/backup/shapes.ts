/** Entities of every shape that state can have, and clusters that keep them. */
import { inspect } from "node:util";
import { Cluster, type ClusterOf, command, defineEntity, query } from "../../src/index.ts";
import type { StoreDriver } from "../../src/ports/store.ts";

/** A state by what is odd about it. */
export const SHAPES: Readonly<Record<string, () => unknown>> = {
  nothing: () => undefined,
  null: () => null,
  text: () => "grüße \u2028 \u0000 </script> \u{1f600} \"'\\",
  empty: () => ({ list: [], fields: {}, map: new Map(), set: new Set(), text: "" }),
  numbers: () => [0, -0, Number.NaN, -Infinity, 2 ** 53, 1e-7],
  huge: () => ({ n: 123_456_789_012_345_678_901_234n, less: -1n }),
  dates: () => [new Date(0), new Date(8_640_000_000_000_000), new Date(Number.NaN)],
  map: () =>
    new Map<unknown, unknown>([
      ["a", new Set([1])],
      [{ k: 1 }, new Map([[1n, "one"]])],
    ]),
  bytes: () => ({ one: new Uint8Array([0, 255, 128]), none: new Uint8Array() }),
  holes: () => [1, undefined, { gone: undefined }],
  shared: () => {
    const both = { n: 1 };
    return { one: both, other: both };
  },
  cycle: () => {
    const self: Record<string, unknown> = { name: "me" };
    return Object.assign(self, { self });
  },
};

interface State {
  count: number;
  rung: number;
  odd: unknown;
}

/** See the file's header. */
export const Shape = defineEntity("shape", {
  messages: {
    become: command<{ shape: string }>(),
    add: command<{ n: number }, number>(),
    look: query<void, { odd: string; count: number; rung: number }>(),
    wake: command<{ every: string }>(),
    sleep: command<{ days: number }>(),
    ring: command(),
    end: command(),
  },
  persistence: "write-through",
  version: 3,
  state: (): State => ({ count: 0, rung: 0, odd: "new" }),
  handlers: {
    become: ({ state }, { shape }) => void (state.odd = SHAPES[shape]!()),
    add: ({ state }, { n }) => (state.count += n),
    look: ({ state: { odd, count, rung } }) => ({ odd: textOf(odd), count, rung }),
    wake: (ctx, { every }) => ctx.remind("bell", { every: every as "1s" }, { type: "ring" }),
    sleep: (ctx, { days }) => ctx.remind("bell", { in: `${days}d` as "1d" }, { type: "ring" }),
    ring: ({ state }) => void state.rung++,
    end: (ctx) => ctx.delete(),
  },
});

/** A state as a text that shows all of it. */
export function textOf(state: unknown): string {
  return inspect(state, { depth: 9 });
}

/** A cluster of one node, in this process alone, over `store`. */
export function startOver(
  store: StoreDriver,
  shardCount = 16,
  name = "shop",
): Promise<ClusterOf<typeof Shape>> {
  const options = { transport: "memory", heartbeat: "normal", entities: [Shape] } as const;
  return Cluster.start({ ...options, store, shardCount, name });
}
