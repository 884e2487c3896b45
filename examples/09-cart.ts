/**
 * A cart that empties itself when nobody comes back: its reminder is stored with it, and comes
 * after a restart of everything, to a cart that is not in memory.
 *
 * `npx bun examples/09-cart.ts` prints:
 *
 *     ada: book, pen
 *     bob: paid for 1 item
 *     everything stops, and starts again
 *     ada: book, pen go back to the shelf
 *     ada has 0 items
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { sqlite } from "../src/drivers/sqlite/index.ts";
import { Cluster, command, defineEntity, query } from "../src/index.ts";

const emptied = Promise.withResolvers<void>();

const Cart = defineEntity("cart", {
  messages: {
    add: command<{ item: string }, readonly string[]>(),
    pay: command<void, number>(),
    abandon: command(),
    count: query<void, number>(),
  },
  persistence: "write-through",
  state: () => ({ items: [] as string[] }),
  handlers: {
    async add(context, { item }) {
      context.state.items.push(item);
      // Days in a real shop. It takes the place of the last of this name: each item puts it off.
      await context.remind("abandon", { in: "2s" }, { type: "abandon" });
      return context.state.items;
    },
    async pay(context) {
      const { length } = context.state.items;
      // With the state goes the reminder: nothing is left of this cart.
      await context.delete();
      return length;
    },
    async abandon(context) {
      console.log(`${context.id}: ${context.state.items.join(", ")} go back to the shelf`);
      await context.delete();
      emptied.resolve();
    },
    count: ({ state }) => state.items.length,
  },
});

const folder = mkdtempSync(join(tmpdir(), "cart-"));
const store = sqlite({ file: join(folder, "carts.db") });
const start = () => Cluster.start({ name: basename(folder), store, entities: [Cart] });

let cluster = await start();
const cart = (id: string) => cluster.entity("cart", id);
await cart("ada").send({ type: "add", item: "book" });
console.log(`ada: ${(await cart("ada").send({ type: "add", item: "pen" })).join(", ")}`);
await cart("bob").send({ type: "add", item: "lamp" });
console.log(`bob: paid for ${await cart("bob").send({ type: "pay" })} item`);
await cluster.stop();

console.log("everything stops, and starts again");
cluster = await start();
// Nobody asks for ada's cart: the reminder wakes it.
await emptied.promise;
console.log(`ada has ${await cart("ada").send({ type: "count" })} items`);
await cluster.stop();
rmSync(folder, { recursive: true });
