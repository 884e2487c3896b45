/** Prices whose answers are cached while they are hot, in a cluster of simulated time. */
import { equal } from "node:assert/strict";
import { command, defineEntity, query } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";

/** Answers are given again for so long. */
export const AGE_MS = 250;

/** Queries that handlers have run. */
export const runs = { count: 0 };
let wait: (node: string, ms: number) => Promise<void>;

const Price = defineEntity("price", {
  messages: {
    set: command<{ value: number }, number>(),
    get: query<{ of?: string; in?: string }, { value: number; by: string[] }>(),
    slow: query<{ ms: number }, number>(),
    fail: query<{ ms: number }, number>(),
    much: query<{ n: number }, string>(),
  },
  state: () => ({ value: 0 }),
  hotCache: AGE_MS,
  handlers: {
    set: ({ state }, { value }) => (state.value = value),
    get({ state, node }) {
      runs.count++;
      return { value: state.value, by: [node] };
    },
    async slow(ctx, { ms }) {
      runs.count++;
      const { value } = ctx.state;
      await wait(ctx.node, ms);
      return value;
    },
    async fail(ctx, { ms }) {
      runs.count++;
      await wait(ctx.node, ms);
      throw new Error("not today");
    },
    much() {
      runs.count++;
      return "x".repeat(300_000);
    },
  },
});
const entities = [Price] as const;
type Prices = TestCluster<typeof entities>;

/** One of them, as a node sees it. */
export const ref = (cluster: Prices, node: string, id = "hot") =>
  cluster.node(node).entity(Price, id);

/** A cluster in which "hot" is hot on all nodes, and the node it lives on is not n1. */
export async function start(): Promise<{ cluster: Prices; owner: string; others: string[] }> {
  const cluster = await TestCluster.start({ entities, shardCount: 64 });
  wait = (node, ms) => cluster.sleep(node, ms);
  await cluster.advance("1s");
  await heat(cluster);
  const owner = cluster.node("n1").owner("price", "hot")!.node;
  return { cluster, owner, others: cluster.names.filter((name) => name !== owner) };
}

async function heat(cluster: Prices): Promise<void> {
  for (let n = 0; n < 30; n++) {
    const calls = Array.from({ length: 100 }, (_, value) =>
      ref(cluster, "n1").send({ type: "set", value }),
    );
    await cluster.run(Promise.all(calls));
    await cluster.advance("100ms");
  }
  equal(cluster.node("n3").hotKeys().length, 1);
  runs.count = 0;
}
