/** What a change of the membership would move. Pure; the ring decides, as it does for real. */
import type { Hash } from "../base/hash.ts";
import { createRing } from "../base/ring.ts";
import type { View } from "./view.ts";

/** A change of the membership. */
export interface MembershipChange {
  readonly join?: readonly { readonly node: string; readonly weight?: number }[];
  readonly leave?: readonly string[];
}

/** What it would do. */
export interface Plan {
  /** How many shards there are. */
  readonly shardCount: number;
  /** Shards that would have another owner; `from` is nothing for one that nobody owns. */
  readonly moves: readonly {
    readonly shard: number;
    readonly from: string | undefined;
    readonly to: string;
  }[];
  /** The part of all shards that each node would own, from 0 to 1. */
  readonly share: Readonly<Record<string, number>>;
}

/** @throws {RangeError} when a node joins that is there, or one leaves that is not. */
export function planChange(
  view: View,
  { join = [], leave = [] }: MembershipChange,
  space: { readonly group: string; readonly shardCount: number; readonly hash: Hash },
): Plan {
  const { group, shardCount, hash } = space;
  // Nodes that only call share a group without shards.
  const targets = group === "" ? [] : view.targets(group);
  const members = new Map(targets.map(({ name, weight }) => [name, weight]));
  for (const node of leave) {
    if (!members.delete(node)) throw new RangeError(`Cannot plan: "${node}" owns no shards`);
  }
  for (const { node, weight = 1 } of join) {
    if (members.has(node)) throw new RangeError(`Cannot plan: "${node}" is there already`);
    members.set(node, weight);
  }
  const nodes = [...members].map(([name, weight]) => ({ name, weight }));
  const ring = createRing(nodes, shardCount, hash);
  const moves: { shard: number; from: string | undefined; to: string }[] = [];
  const share: Record<string, number> = {};
  for (let shard = 0; shard < shardCount && members.size > 0; shard++) {
    const to = ring.nodes[ring.targets[shard]!]!.name;
    share[to] = (share[to] ?? 0) + 1 / shardCount;
    const owner = view.shard(group, shard)?.record.owner ?? "";
    const from = view.isGone(owner) ? undefined : view.sessions.get(owner)?.record.node;
    if (from !== to) moves.push({ shard, from, to });
  }
  return { shardCount, moves, share };
}
