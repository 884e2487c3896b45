/** What a node can say of the cluster when it is asked. */
import type { LoadFigures } from "../protocol/records.ts";
import type { NodeContext } from "./node-context.ts";

/** A node of the cluster, as the others know it. */
export interface NodeInfo extends LoadFigures {
  readonly node: string;
  readonly endpoint: string | undefined;
  readonly runtime: string;
  readonly weight: number;
  readonly state: "up" | "leaving";
}

/** Where an entity lives. */
export interface Ownership {
  readonly node: string;
  readonly shard: number;
  /** Rises with every new ownership of the shard. */
  readonly epoch: number;
}

/** The nodes that live, sorted by id. */
export function nodesOf({ view }: NodeContext): NodeInfo[] {
  const nodes: NodeInfo[] = [];
  for (const { record } of view.living.values()) {
    const { node, runtime, weight, endpoint } = record;
    const { hot: _, ...load } = record.load;
    const state = record.state === "up" ? "up" : "leaving";
    nodes.push({ node, endpoint: endpoint ?? undefined, runtime, weight, state, ...load });
  }
  return nodes.sort((a, b) => (a.node < b.node ? -1 : 1));
}

/** Who owns an entity, as far as this node knows. */
export function ownerOf(context: NodeContext, entity: string, id: string): Ownership | undefined {
  const record = context.recordOf(entity, id);
  const owner = record?.owner ?? "";
  if (record === undefined || !context.view.isAlive(owner)) return undefined;
  const { node } = context.view.sessions.get(owner)!.record;
  return { node, shard: context.shardOf(entity, id), epoch: record.epoch };
}
