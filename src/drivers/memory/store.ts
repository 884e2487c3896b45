/** The store in memory, for tests: it lives as long as its driver, whoever closes it. */
import type { Clock } from "../../base/clock.ts";
import { CatgaError } from "../../base/errors.ts";
import { FRAME_BYTES_MAX, IDENTITY_CHARS } from "../../base/limits.ts";
import type { Store, StoreDriver } from "../../ports/store.ts";
import { checkSizes } from "../../protocol/state-size.ts";
import { Shelf } from "./shelf.ts";

/** More than the state of an entity may have to travel to another node. */
const BYTES_MAX = FRAME_BYTES_MAX;

/** What nodes of one cluster have here. */
interface Kept {
  readonly shardCount: number;
  readonly shelf: Shelf;
  readonly identity: string;
}

/** A store for the nodes of this process that are given it; clusters of other names are others. */
export function memoryStore(): StoreDriver {
  const clusters = new Map<string, Kept>();
  return {
    name: "memory",
    async open({ cluster, shardCount, clock, random }) {
      const made = { shardCount, shelf: new Shelf(), identity: random.text(IDENTITY_CHARS) };
      const kept = clusters.get(cluster) ?? made;
      if (kept.shardCount === 0) throw nothingIn("memory", cluster);
      if (kept.shardCount !== shardCount) {
        const details = { setting: "shardCount", ours: shardCount, theirs: kept.shardCount };
        throw new CatgaError("SETTINGS_DIFFER", details);
      }
      clusters.set(cluster, kept);
      return storeOn(kept, clock);
    },
  };
}

function storeOn({ shelf, identity }: Kept, clock: Clock): Store {
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
    identity,
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

/** The error for whoever looks into a store that keeps nothing of `cluster`. */
function nothingIn(store: string, cluster: string): CatgaError {
  const reason = `it keeps nothing of cluster "${cluster}"`;
  return new CatgaError("STORE_UNAVAILABLE", { store, reason });
}
