/** The store in memory, for tests: it lives as long as its driver, whoever closes it. */
import type { Clock } from "../../base/clock.ts";
import { CatgaError } from "../../base/errors.ts";
import { FRAME_BYTES_MAX } from "../../base/limits.ts";
import type { Store, StoreDriver } from "../../ports/store.ts";
import { checkSizes } from "../../protocol/state-size.ts";
import { Shelf } from "./shelf.ts";

/** More than the state of an entity may have to travel to another node. */
const BYTES_MAX = FRAME_BYTES_MAX;

/** A store for the nodes of this process that are given it; clusters of other names are others. */
export function memoryStore(): StoreDriver {
  const clusters = new Map<string, { readonly shardCount: number; readonly shelf: Shelf }>();
  return {
    name: "memory",
    async open({ cluster, shardCount, clock }) {
      const kept = clusters.get(cluster) ?? { shardCount, shelf: new Shelf() };
      if (kept.shardCount !== shardCount) {
        const details = { setting: "shardCount", ours: shardCount, theirs: kept.shardCount };
        throw new CatgaError("SETTINGS_DIFFER", details);
      }
      clusters.set(cluster, kept);
      return storeOn(kept.shelf, clock);
    },
  };
}

function storeOn(shelf: Shelf, clock: Clock): Store {
  let isClosed = false;
  /** In the order in which they were asked for. */
  const turn = (): Promise<void> => new Promise((resolve) => clock.yield(resolve));
  /** Like a real one it answers later. */
  const ask = async <T>(run: () => T): Promise<T> => {
    if (isClosed) {
      throw new CatgaError("STORE_UNAVAILABLE", { store: "memory", reason: "it is closed" });
    }
    await turn();
    return run();
  };
  return {
    bytesMax: BYTES_MAX,
    load: (key) => ask(() => shelf.load(key)),
    async write(writes) {
      checkSizes(writes, BYTES_MAX);
      return ask(() => writes.map((write) => shelf.write(write, clock.nowMs())));
    },
    due: (where, untilMs, limit) => ask(() => shelf.due(where, untilMs, limit)),
    page: (after) => ask(() => shelf.page(after)),
    async close() {
      isClosed = true;
      await turn();
    },
  };
}
