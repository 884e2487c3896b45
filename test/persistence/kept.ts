/** An entity that is kept, and a store whose every step a test can hold, fail and count. */
import { memoryStore } from "../../src/drivers/memory/store.ts";
import { command, defineEntity, query } from "../../src/index.ts";
import type { Store, StoreDriver } from "../../src/ports/store.ts";

interface State {
  count: number;
  readonly since: Date;
  readonly tags: Map<string, bigint>;
  odd?: unknown;
}

const messages = {
  add: command<{ n: number }, number>(),
  look: query<void, { count: number; since: number; tag: string }>(),
  spoil: command<{ with: "function" | "size" | "much"; saves?: boolean }>(),
  save: command<{ n: number }, number>(),
  delete: command(),
};

/** States: what cannot be stored, and what needs room. */
const ODD = {
  function: () => () => 1,
  size: () => "x".repeat(9 * 1_048_576),
  much: () => "x".repeat(20_000),
} as const;

/** What older code stored, as newer code has it. */
function migrate(old: unknown, from: number): State {
  return { ...(old as State), count: (old as State).count + 1_000 * from };
}

/** A counter; one of version 2 has migrated what older code stored. */
export function counterOf(
  persistence: "write-through" | "write-behind",
  version = 1,
  more: { readonly migrate?: typeof migrate } = {},
) {
  return defineEntity("counter", {
    messages,
    persistence,
    version,
    migrate: more.migrate ?? migrate,
    state: (): State => ({ count: 0, since: new Date(7), tags: new Map([["a", 10n ** 20n]]) }),
    handlers: {
      add: ({ state }, { n }) => (state.count += n),
      look: ({ state: { count, since, tags } }) => {
        return { count, since: since.getTime(), tag: String(tags.get("a")) };
      },
      spoil: async (ctx, { with: what, saves }) => {
        ctx.state.odd = ODD[what]();
        if (saves === true) await ctx.save();
      },
      save: async (ctx, { n }) => {
        ctx.state.count += n;
        await ctx.save();
        return ctx.state.count;
      },
      delete: (ctx) => ctx.delete(),
    },
  });
}

/** The usual one. */
export const Through = counterOf("write-through");

/** A store whose writes and loads a test can hold, fail and count. */
export function spied() {
  const inner = memoryStore();
  const spy = {
    writes: 0,
    /** The entity that the store stumbles over. */
    refused: "",
    loads: 0,
    /** Awaited before a write; may throw. */
    beforeWrite: async (): Promise<void> => {},
    afterWrite: async (): Promise<void> => {},
    beforeLoad: async (): Promise<void> => {},
  };
  const driver: StoreDriver = {
    name: "spied",
    async open(context) {
      const store = await inner.open(context);
      return {
        ...store,
        async write(writes): ReturnType<Store["write"]> {
          spy.writes++;
          if (writes.some(({ id }) => id === spy.refused)) throw new Error("a row is damaged");
          await spy.beforeWrite();
          const results = await store.write(writes);
          await spy.afterWrite();
          return results;
        },
        async load(key) {
          spy.loads++;
          await spy.beforeLoad();
          return store.load(key);
        },
      };
    },
  };
  return { spy, driver };
}
