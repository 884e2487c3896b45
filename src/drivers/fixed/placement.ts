/** Which node of a list owns which shard, for good: the ring over the whole list says so. */
import { hash } from "../../base/hash.ts";
import { createRing } from "../../base/ring.ts";
import type { Entry } from "../../protocol/ledger.ts";
import { shardKey } from "../../protocol/records.ts";
import type { Member } from "./list.ts";

/** A start of a node. */
export interface Start {
  readonly node: string;
  readonly incarnation: string;
  readonly epoch: number;
}

/** See the file's header. */
export class Placement {
  /** The shards of each node. */
  readonly #shards = new Map<string, number[]>();

  constructor(list: readonly Member[], shardCount: number) {
    const members = list.map(({ node: name }) => ({ name, weight: 1 }));
    const { nodes, targets } = createRing(members, shardCount, hash);
    for (const { name } of nodes) this.#shards.set(name, []);
    for (const [shard, index] of targets.entries())
      this.#shards.get(nodes[index]!.name)!.push(shard);
  }

  /**
   * The records of all shards of a node. Nodes tell each other of shards: the revision has to mean
   * the same everywhere, so it is the epoch.
   */
  records(group: string, { node, incarnation, epoch }: Start): Entry[] {
    const value = { owner: incarnation, epoch, cleanSince: epoch, handoff: null };
    const written = { value, revision: epoch, operation: incarnation };
    return this.#shards.get(node)!.map((shard) => ({ key: shardKey(group, shard), ...written }));
  }
}
