/** A store that keeps nothing and says it does: what is weighed beside it is not the store. */
import type { StoreDriver } from "../../src/ports/store.ts";

/** See the file's header. */
export function idleStore(): StoreDriver {
  return {
    name: "idle",
    open: async () => ({
      identity: "idle",
      bytesMax: Number.MAX_SAFE_INTEGER,
      load: async () => undefined,
      write: async (writes) => writes.map(({ expected }) => ({ ok: true, version: expected + 1 })),
      due: async () => [],
      page: async () => ({ found: [], next: undefined }),
      close: async () => {},
    }),
  };
}
