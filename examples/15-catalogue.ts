/**
 * A product catalogue whose answers are kept where they are asked for: the shop asks once, all who
 * wait share the answer, and a price that changes is forgotten before its command is answered.
 *
 * `npx bun examples/15-catalogue.ts` prints:
 *
 *     1,000 customers see the lamp for 40 €: the catalogue was asked 0 times
 *     1,000 customers see the lamp for 35 €: the catalogue was asked once
 *     the chair still costs 80 €: the catalogue was asked 0 times
 *     sold: 1,000 customers see the lamp for 35 €: the catalogue was asked once
 */
import process from "node:process";
import {
  Cluster,
  defineCommand,
  defineEvent,
  defineQuery,
  handler,
  invalidate,
} from "../src/index.ts";

interface Product {
  readonly sku: string;
  readonly price: number;
}

const ChangePrice = defineCommand<Product, Product>("catalogue.price");
const Sold = defineEvent<{ sku: string }>("catalogue.sold");
const GetProduct = defineQuery<{ sku: string }, Product>("catalogue.product", {
  cache: {
    ttl: "10m",
    key: "sku",
    // They take their own product out of every cache, and leave the others.
    invalidatedBy: [invalidate(ChangePrice, "sku"), invalidate(Sold, "sku")],
  },
});

const prices = new Map([
  ["lamp", 40],
  ["chair", 80],
]);
let asked = 0;
const handlers = [
  handler(GetProduct, ({ sku }) => {
    asked++;
    return { sku, price: prices.get(sku) ?? 0 };
  }),
  handler(ChangePrice, ({ sku, price }) => {
    prices.set(sku, price);
    return { sku, price };
  }),
];

// A node trusts its cache as long as it hears of all others, here for 10 seconds.
const options = { name: `catalogue-${process.pid}`, heartbeat: "relaxed" } as const;
await using catalogue = await Cluster.start({ ...options, nodeId: "catalogue", handlers });
await using shop = await Cluster.start({ ...options, nodeId: "shop" });

const ask = (sku: string): Promise<Product> => shop.send(GetProduct({ sku }));
const times = (n: number): string => (n === 1 ? "once" : `${n} times`);

async function browse(why = ""): Promise<void> {
  asked = 0;
  const seen = await Promise.all(Array.from({ length: 1_000 }, () => ask("lamp")));
  const customers = seen.length.toLocaleString("en");
  const what = `${why}${customers} customers see the lamp for ${seen[0]!.price} €`;
  console.log(`${what}: the ${catalogue.nodeId} was asked ${times(asked)}`);
}

// Nothing is kept before the catalogue has said that it tells of changes: a moment.
for (const sku of ["lamp", "chair"]) {
  do {
    asked = 0;
    await ask(sku);
  } while (asked > 0);
}
await browse();

await shop.send(ChangePrice({ sku: "lamp", price: 35 }));
await browse();

asked = 0;
const { price } = await ask("chair");
console.log(`the chair still costs ${price} €: the ${catalogue.nodeId} was asked ${times(asked)}`);

// What happens elsewhere is heard a message later; the shop's own events, at once.
await shop.publish(Sold({ sku: "lamp" }));
await browse("sold: ");
