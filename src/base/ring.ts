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

interface Circle {
  /** Places on the circle, sorted, each with the index of its node. */
  readonly points: Float64Array;
  /** How many shards each node may still be given. */
  readonly room: number[];
}

/** Computes the ring; O(p log p) in all virtual nodes p, some milliseconds for a hundred nodes. */
export function createRing<N extends RingNode>(
  members: readonly N[],
  shardCount: number,
  hash: Hash,
): Ring<N> {
  const nodes = [...members].sort((a, b) => (a.name < b.name ? -1 : 1));
  const targets = new Uint16Array(shardCount);
  if (nodes.length < 2) return { nodes, targets };
  const circle = { points: pointsOf(nodes, hash), room: capacities(nodes, shardCount) };
  // Keys are spread over the shards by a hash already: shards may stand at even distances.
  const spacing = CIRCLE / shardCount;
  for (let shard = 0; shard < shardCount; shard++) targets[shard] = take(circle, shard * spacing);
  return { nodes, targets };
}

/** Takes a place of the node nearest to `position` that still has one. */
function take({ points, room }: Circle, position: number): number {
  let after = firstAtOrAfter(points, position);
  let before = (after || points.length) - 1;
  for (;;) {
    const isAfter = gap(position, points[after]!) <= gap(points[before]!, position);
    const node = points[isAfter ? after : before]! % INDEX_SPAN;
    if (room[node]! > 0) {
      room[node]!--;
      return node;
    }
    if (isAfter) after = (after + 1) % points.length;
    else before = (before || points.length) - 1;
  }
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

function firstAtOrAfter(points: Float64Array, position: number): number {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (points[middle]! < position) low = middle + 1;
    else high = middle;
  }
  return low === points.length ? 0 : low;
}
