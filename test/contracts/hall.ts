/** Messages of every route with their handlers, and a small cluster of them, for its contract. */
import {
  type AnyEntity,
  Cluster,
  type ClusterOf,
  type ClusterOptions,
  type Handler,
} from "../../src/index.ts";
import { type ClusterFixture, gate } from "./probes.ts";
import { waitUntil } from "./wait-until.ts";

/** Three nodes: two that handle the same messages, and one that only calls. */
export interface Hall {
  readonly one: ClusterOf<never>;
  readonly other: ClusterOf<never>;
  readonly caller: ClusterOf<never>;
  /** All of them. */
  readonly nodes: readonly ClusterOf<never>[];
  /** The names of the two that handle, sorted. */
  readonly names: readonly string[];
}

/** What the nodes of a hall are given. */
export interface Furniture extends Pick<
  ClusterOptions<readonly AnyEntity[]>,
  "entities" | "failover"
> {
  /** Of both nodes that handle. */
  readonly handlers?: readonly Handler[];
  /** Of the first one alone. */
  readonly own?: readonly Handler[];
}

/** Starts three nodes, waits until all know of each other, runs `check` and stops them. */
export async function inHall(
  { meeting, nodeIds }: ClusterFixture,
  { handlers = [], own = [], entities, failover = {} }: Furniture,
  check: (hall: Hall) => Promise<void>,
): Promise<void> {
  const all = { ...meeting, shardCount: 32, failover } as const;
  const [first, second] = nodeIds ?? ["one", "other"];
  const host = { ...all, ...(entities !== undefined && { entities }) };
  const nodes: ClusterOf<never>[] = [];
  const starts = [
    () => Cluster.start({ ...host, nodeId: first, handlers: [...handlers, ...own] }),
    () => Cluster.start({ ...host, nodeId: second, handlers }),
    () => Cluster.start({ ...all, ...(nodeIds === undefined && { nodeId: "caller" }) }),
  ];
  try {
    for (const start of starts) nodes.push(await start());
    const [one, other, caller] = nodes as [Hall["one"], Hall["other"], Hall["caller"]];
    const names = [first, second].sort();
    await waitUntil("all know of those that handle", () =>
      nodes.every((node) => names.every((name) => node.nodes.some((each) => each.node === name))),
    );
    await check({ one, other, caller, nodes, names });
  } finally {
    for (const door of doors.splice(0)) gate(door).open();
    for (const node of nodes.toReversed()) await node.stop({ deadline: "3s" });
  }
}

const doors: string[] = [];
let count = 0;

/** A door that no check has used, and that opens when the check is over. */
export function door(): string {
  const name = `hall-${++count}`;
  doors.push(name);
  return name;
}

/** How often each of `values` is there. */
export function tally(values: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}

/** What so many calls answer, one after the other. */
export async function inTurn<T>(calls: number, call: (n: number) => Promise<T>): Promise<T[]> {
  const answers: T[] = [];
  for (let n = 0; n < calls; n++) answers.push(await call(n));
  return answers;
}
