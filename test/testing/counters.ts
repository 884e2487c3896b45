/** Counters in a cluster of simulated time, as several tests use them. */
import { type ClusterEvents, command, defineEntity, query } from "../../src/index.ts";
import { TestCluster, type TestOptions } from "../../src/testing/index.ts";

/** Counts. */
export const Counter = defineEntity("counter", {
  messages: { add: command<{ n: number }, number>(), where: query<void, string>() },
  state: () => ({ count: 0 }),
  handlers: {
    add: (ctx, { n }) => (ctx.state.count += n),
    where: (ctx) => ctx.node,
  },
});
const entities = [Counter] as const;
/** Enough for every node to own some. */
export const IDS = Array.from({ length: 24 }, (_, n) => `c-${n}`);

/** A cluster of counters. */
export type Counters = TestCluster<typeof entities>;

/** Starts one. */
export const start = (options: TestOptions<typeof entities> = {}): Promise<Counters> =>
  TestCluster.start({ entities, shardCount: 64, ...options });

/** Adds one to every counter, from `from`; what each answered, or the code of its error. */
export function addAll(cluster: Counters, from: string): Promise<unknown[]> {
  const calls = IDS.map((id) =>
    cluster.node(from).entity(Counter, id).send({ type: "add", n: 1 }).catch(codeOf),
  );
  return cluster.run(Promise.all(calls));
}

function codeOf(error: { readonly code?: string }): string | undefined {
  return error.code;
}

/** Where the counters are. */
export async function nodesOf(cluster: Counters, from: string): Promise<Set<string>> {
  const calls = IDS.map((id) => cluster.node(from).entity(Counter, id).send({ type: "where" }));
  return new Set(await cluster.run(Promise.all(calls)));
}
/** Everything of some types that happens from now on. */
export function record<T extends keyof ClusterEvents>(
  cluster: Counters,
  name: string,
  types: readonly T[],
) {
  const seen: { readonly type: T; readonly event: ClusterEvents[T] }[] = [];
  for (const type of types) cluster.node(name).on(type, (event) => seen.push({ type, event }));
  return seen;
}
