/** Clusters of handlers in simulated time. */
import {
  type CatgaError,
  defineCommand,
  defineQuery,
  handler,
  type Handler,
} from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { failureOf } from "../drivers/nodes.ts";

/** A cluster of such handlers. */
export type Cluster = TestCluster<readonly []>;

let current: Cluster;

/** What a handler is busy with on `node`: for so long of the simulated clock, which tests move. */
export function working(node: string, ms: number): Promise<void> {
  return current.sleep(node, ms);
}

/** A command. */
export const Do = defineCommand<{ n: number; filler?: string }, string>("nodes.do");
/** A query. */
export const Look = defineQuery<{ n: number }, string>("nodes.look");
/** A command with an idempotency key. */
export const Once = defineCommand<{ id: string }, string>("nodes.once", {
  idempotency: { key: "id", window: "10m" },
});
/** A query with a key. */
export const Keyed = defineQuery<{ id: string }, string>("nodes.keyed", {
  route: { strategy: "consistentHash", key: "id" },
});

/** A cluster of a caller, `n1`, and others with `handlers`. */
export async function clusterOf(
  others: number,
  handlers: readonly Handler[],
  options: Parameters<typeof TestCluster.start>[0] = {},
): Promise<Cluster> {
  const cluster = await TestCluster.start({ shardCount: 16, ...options, nodes: 1 });
  for (let n = 2; n < 2 + others; n++) await cluster.join(`n${n}`, { handlers });
  await cluster.advance("1s");
  return (current = cluster as Cluster);
}

/** A handler that answers with its node after `ms`, and remembers when it ran. */
export function slow(def: typeof Do | typeof Look, ms: number) {
  const runs: { readonly n: number; readonly node: string }[] = [];
  const given: Handler = handler(def as typeof Do, async ({ n }, { node }) => {
    runs.push({ n, node });
    if (ms > 0) await current.sleep(node, ms);
    return node;
  });
  return { runs, given };
}

/** How `call` ends, within the time of the cluster. */
export function endOf(cluster: Cluster, call: Promise<unknown>): Promise<Partial<CatgaError>> {
  return cluster.run(failureOf(call)) as Promise<Partial<CatgaError>>;
}
