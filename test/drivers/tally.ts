/** An entity whose state outlives its node, and nodes that may keep it elsewhere than they meet. */
import { nats } from "../../src/drivers/nats/index.ts";
import { redis } from "../../src/drivers/redis/index.ts";
import { sqlite } from "../../src/drivers/sqlite/index.ts";
import {
  Cluster,
  type ClusterOf,
  type ClusterOptions,
  command,
  defineEntity,
} from "../../src/index.ts";
import { SECRET } from "./fixtures.ts";

/** Counts, and says where. */
export const Tally = defineEntity("tally", {
  messages: { count: command<void, { count: number; node: string }>() },
  persistence: "write-through",
  state: () => ({ count: 0 }),
  handlers: { count: ({ state, node }) => ({ count: ++state.count, node }) },
});

/** A node that hosts {@link Tally}. */
export type TallyNode = ClusterOf<typeof Tally>;

/** Where a node meets others, and where it keeps its entities: the transport's own, or a place. */
export interface TallyPlace {
  readonly name: string;
  readonly transport: NonNullable<ClusterOptions<[]>["transport"]>;
  /** A URL, or the path of a file. */
  readonly store?: string;
}

/** A node of that place. */
export function tally({ store, ...place }: TallyPlace, nodeId: string): Promise<TallyNode> {
  const options = {
    ...place,
    nodeId,
    secret: SECRET,
    heartbeat: "normal",
    shardCount: 32,
  } as const;
  const kept = store === undefined ? {} : { store: storeAt(store) };
  return Cluster.start({ ...options, ...kept, entities: [Tally] });
}

function storeAt(place: string): NonNullable<ClusterOptions<[]>["store"]> {
  if (place.startsWith("nats:")) return nats(place);
  return place.startsWith("redis:") ? redis(place) : sqlite({ file: place });
}
