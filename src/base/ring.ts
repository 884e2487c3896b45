/**
 * Which node should hold which shard: consistent hashing (Karger et al., 1997) with virtual nodes,
 * and a hard upper bound per node (Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with
 * Bounded Loads", 2016). A shard goes to the nearest point on either side, as in Pastry (Rowstron
 * and Druschel, 2001): two half gaps vary less than a whole one, so fewer shards meet a full node
 * and move when another joins. The result depends on the *set* of nodes alone, never on the order
 * in which they were learned of, so all nodes compute the same without talking.
 */
import type { Hash } from "./hash.ts";
import { LOAD_BOUND, VIRTUAL_NODES } from "./limits.ts";

/** A node as the ring sees it. Names are unique. */
export interface RingNode {
  readonly name: string;
  readonly weight: number;
}

/** For each shard the index into `nodes` of the node that should hold it. */
export interface Ring<N extends RingNode> {
  /** Sorted by name. */
  readonly nodes: readonly N[];
  readonly targets: Uint16Array;
}

/** Room for the node's index beside a 32-bit hash in one exact number. */
const INDEX_SPAN = 65_536;
const CIRCLE: number = 2 ** 32 * INDEX_SPAN;

/** Computes the ring; O(p log p) in all virtual nodes p, some milliseconds for a hundred nodes. */
export function createRing<N extends RingNode>(
  members: readonly N[],
  shardCount: number,
  hash: Hash,
): Ring<N> {
  const nodes = [...members].sort((a, b) => (a.name < b.name ? -1 : 1));
  const targets = new Uint16Array(shardCount);
  if (nodes.length < 2) return { nodes, targets };
  const points = pointsOf(nodes, hash);
  const room = capacities(nodes, shardCount);
  const at = (index: number): number => points[(index + 2 * points.length) % points.length]!;
  // Keys are spread over the shards by a hash already: shards may stand at even distances.
  const spacing = CIRCLE / shardCount;
  let next = 0;
  for (let shard = 0; shard < shardCount; shard++) {
    const place = shard * spacing;
    while (next < points.length && points[next]! < place) next++;
    let [after, before, node] = [next, next - 1, 0];
    do {
      const isAfter = gap(place, at(after)) <= gap(at(before), place);
      node = at(isAfter ? after++ : before--) % INDEX_SPAN;
    } while (room[node] === 0);
    room[node]!--;
    targets[shard] = node;
  }
  return { nodes, targets };
}

/** The way from one place to another, clockwise. */
function gap(from: number, to: number): number {
  return to < from ? to - from + CIRCLE : to - from;
}

function pointsOf(nodes: readonly RingNode[], hash: Hash): Float64Array {
  const points: number[] = [];
  for (const [index, node] of nodes.entries()) {
    const count = Math.max(1, Math.round(VIRTUAL_NODES * node.weight));
    // The index breaks ties between equal hashes, and nodes are in the order of their names.
    for (let i = 0; i < count; i++) points.push(hash(node.name, i) * INDEX_SPAN + index);
  }
  return Float64Array.from(points).sort();
}

function capacities(nodes: readonly RingNode[], shardCount: number): number[] {
  const total = nodes.reduce((sum, node) => sum + node.weight, 0);
  return nodes.map((node) => Math.ceil((LOAD_BOUND * shardCount * node.weight) / total));
}
