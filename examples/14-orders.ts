/**
 * Orders, with each way that a message finds its handler: two nodes that handle them, and a till
 * that only sends.
 *
 * `npx bun examples/14-orders.ts` prints:
 *
 *     consistentHash: order o1 is taken as number 1, and again as number 1
 *     roundRobin: 4 quotes from east, west
 *     random: 20 quotes, none lost
 *     leastConnections: 20 quotes, none lost
 *     leastLoad: 20 quotes, none lost
 *     custom: the west packs
 *     localFirst: asked there, east and west answer
 *     broadcast: stock of east 7, west 7
 *     entity: the ledger of ada holds 40 €
 *     fallback: no wrapping today
 */
import process from "node:process";
import {
  Cluster,
  command,
  defineCommand,
  defineEntity,
  defineQuery,
  handler,
  query,
  type Route,
} from "../src/index.ts";

interface Quote {
  readonly from: string;
}

/** The owner of the order takes it; whoever sends it again within ten minutes changes nothing. */
const Place = defineCommand<{ orderId: string }, number>("orders.place", {
  route: { strategy: "consistentHash", key: "orderId" },
  idempotency: { key: "orderId", window: "10m" },
});
/** Anybody may answer: round robin, unless something else is said. */
const Ask = defineQuery<{ sku: string }, Quote>("orders.quote");
const anywhere = (["random", "leastConnections", "leastLoad"] as const).map((strategy) => {
  const route: Route<{ sku: string }> = { strategy };
  return [
    strategy,
    defineQuery<{ sku: string }, Quote>(`orders.quote.${strategy}`, { route }),
  ] as const;
});
/** A function of one's own. */
const Pack = defineCommand<{ orderId: string }, Quote>("orders.pack", {
  route: {
    strategy: "custom",
    balancer: (nodes) => nodes.find(({ node }) => node === "west") ?? nodes[0]!,
  },
});
/** This node, if it has a handler. */
const Where = defineQuery<void, Quote>("orders.where", { route: { strategy: "localFirst" } });
/** Everybody. */
const Stock = defineQuery<{ sku: string }, number>("orders.stock", {
  route: { strategy: "broadcast", quorum: "all" },
});
/** Nobody has a handler for it: it is done without. */
const Wrap = defineCommand<{ orderId: string }, string>("orders.wrap", {
  fallback: () => "no wrapping today",
});

const messages = {
  "orders.book": command<{ customer: string; amount: number }>(),
  total: query<void, number>(),
};
const Ledger = defineEntity("ledger", {
  messages,
  state: () => ({ total: 0 }),
  handlers: {
    "orders.book": ({ state }, { amount }) => void (state.total += amount),
    total: ({ state }) => state.total,
  },
});
/** An entity: the message is one of its own, and a field says whose. */
const Book = defineCommand<{ customer: string; amount: number }>("orders.book", {
  route: { strategy: "entity", entity: Ledger, key: "customer" },
});

let orders = 0;
const quote = (_: unknown, { node }: { readonly node: string }): Quote => ({ from: node });
const handlers = [
  handler(Place, () => ++orders),
  ...[Ask, ...anywhere.map(([, def]) => def)].map((def) => handler(def, quote)),
  handler(Pack, quote),
  handler(Where, quote),
  handler(Stock, () => 7),
];
const name = `orders-${process.pid}`;
const start = (nodeId: string) => Cluster.start({ name, nodeId, entities: [Ledger], handlers });
await using east = await start("east");
await using west = await start("west");
await using till = await Cluster.start({ name, nodeId: "till" });

const [first, again] = [
  await till.send(Place({ orderId: "o1" })),
  await till.send(Place({ orderId: "o1" })),
];
console.log(`consistentHash: order o1 is taken as number ${first}, and again as number ${again}`);

const quotes = await Promise.all(["a", "b", "c", "d"].map((sku) => till.send(Ask({ sku }))));
const nodes = [...new Set(quotes.map(({ from }) => from))].sort().join(", ");
console.log(`roundRobin: ${quotes.length} quotes from ${nodes}`);

for (const [strategy, def] of anywhere) {
  const answers = await Promise.all(Array.from({ length: 20 }, () => till.send(def({ sku: "a" }))));
  console.log(`${strategy}: ${answers.length} quotes, none lost`);
}
console.log(`custom: the ${(await till.send(Pack({ orderId: "o1" }))).from} packs`);
const here = await Promise.all([east, west].map((node) => node.send(Where())));
console.log(`localFirst: asked there, ${here.map(({ from }) => from).join(" and ")} answer`);

const stock = await till.broadcast(Stock({ sku: "a" }));
const said = stock
  .map((answer) => `${answer.node} ${answer.ok ? answer.reply : answer.code}`)
  .toSorted();
console.log(`broadcast: stock of ${said.join(", ")}`);

await till.send(Book({ customer: "ada", amount: 40 }));
console.log(
  `entity: the ledger of ada holds ${await till.entity(Ledger, "ada").send({ type: "total" })} €`,
);
console.log(`fallback: ${await till.send(Wrap({ orderId: "o1" }))}`);
