/** Prices whose answers are cached, in a cluster of simulated time, as several tests use them. */
import { afterEach, beforeEach } from "bun:test";
import {
  type AnyEntity,
  type ClusterOf,
  defineCommand,
  defineEvent,
  defineQuery,
  type Handler,
  handler,
  invalidate,
} from "../../src/index.ts";
import { TestCluster, type TestOptions } from "../../src/testing/index.ts";

/** What has a price. */
export interface Item {
  readonly id: string;
}
type Nodes = TestCluster<readonly AnyEntity[]>;

export const SetPrice = defineCommand<{ id: string; price: number }, number>("cached.set");
export const Discount = defineCommand<{ percent: number }>("cached.discount");
export const Sold = defineEvent<Item>("cached.sold");
const old = { ttl: "1h", invalidatedBy: [invalidate(SetPrice, "id"), Discount] } as const;
export const GetPrice = defineQuery<Item, number>("cached.get", { cache: { ...old, key: "id" } });
export const GetAll = defineQuery<Item, number>("cached.all", {
  cache: { ...old, scope: "cluster" },
});
export const GetShared = defineQuery<Item, number>("cached.shared", {
  cache: { ...old, key: "id", scope: "cluster" },
});
export const GetSold = defineQuery<Item, number>("cached.sales", {
  cache: { ttl: "1h", invalidatedBy: [Sold] },
});
const QUERIES = [GetPrice, GetAll, GetShared, GetSold];

/** What all handlers read and write, and the queries they have run, each for so long. */
export const world = {
  prices: new Map<string, number>(),
  asked: 0,
  delayMs: 0,
  cluster: undefined as unknown as Nodes,
};

/** A handler of a query. */
export async function read(id: string, name: string): Promise<number> {
  world.asked++;
  const price = world.prices.get(id) ?? 0;
  if (world.delayMs > 0) await world.cluster.sleep(name, world.delayMs);
  return price;
}

/** What each node handles. */
export const HANDLERS: readonly Handler[] = [
  handler(SetPrice, ({ id, price }) => {
    world.prices.set(id, price);
    return price;
  }),
  handler(Discount, () => world.prices.clear()),
  ...QUERIES.map((def) => handler(def, ({ id }, { node: name }) => read(id, name))),
];

/** Each test has a cluster of its own, and begins without prices. */
export function eachAnew(): void {
  beforeEach(() => {
    world.prices.clear();
    world.asked = world.delayMs = 0;
  });
  afterEach(async () => {
    await world.cluster?.[Symbol.asyncDispose]();
    world.cluster = undefined as unknown as Nodes;
  });
}

/** A node of it. */
export const node = (name: string): ClusterOf<AnyEntity> => world.cluster.node(name);

/** Starts nodes that all have handlers, and have heard of what makes answers old. */
export async function start(options: TestOptions<readonly AnyEntity[]> = {}): Promise<void> {
  world.cluster = await TestCluster.start({ entities: [], handlers: HANDLERS, ...options });
  const { cluster } = world;
  await cluster.advance("50ms");
  for (let times = 0; times < 2; times++) {
    for (const name of cluster.names) {
      const asked = QUERIES.map((def) => node(name).send(def({ id: "warm" })));
      await cluster.run(Promise.all(asked));
    }
    await cluster.advance("100ms");
  }
  world.asked = 0;
}

/** Changes the price of the lamp, from a node. */
export const set = (name: string, price: number): Promise<number> =>
  world.cluster.run(node(name).send(SetPrice({ id: "lamp", price })));

/** The price of the lamp, as a node is told. */
export const get = (name: string, def: typeof GetPrice = GetPrice): Promise<number> =>
  world.cluster.run(node(name).send(def({ id: "lamp" })));
