/**
 * The way in from outside: entities over HTTP, at any node, wherever they live.
 *
 * `npx bun examples/05-http-edge.ts` prints:
 *
 *     POST /entities/cart/ada/add     200 {"items":2}
 *     GET  /entities/cart/ada/items   200 ["book","pen"]
 *     GET  /cluster/owner/cart/ada    200 edge
 *     POST /entities/cart/ada/burn    404 UNKNOWN_MESSAGE
 */
import { gateway, listen } from "../src/http/index.ts";
import { Cluster, command, defineEntity, query } from "../src/index.ts";

const Cart = defineEntity("cart", {
  messages: {
    add: command<{ items: string[] }, { items: number }>(),
    items: query<void, readonly string[]>(),
  },
  state: () => ({ items: [] as string[] }),
  handlers: {
    add: ({ state }, { items }) => ({ items: state.items.push(...items) }),
    items: ({ state }) => state.items,
  },
});

const cluster = await Cluster.start({ transport: "memory", nodeId: "edge", entities: [Cart] });
// Only what is exposed can be reached. The app is Hono's: mount it in yours, put your checks
// before.
const edge = await listen(gateway(cluster, { expose: [Cart] }), { port: 0 });

const added = await request("POST", "/entities/cart/ada/add", { items: ["book", "pen"] });
console.log(`POST /entities/cart/ada/add     ${added.status} ${await added.text()}`);
const items = await request("GET", "/entities/cart/ada/items");
console.log(`GET  /entities/cart/ada/items   ${items.status} ${await items.text()}`);
const owner = await request("GET", "/cluster/owner/cart/ada");
console.log(`GET  /cluster/owner/cart/ada    ${owner.status} ${(await owner.json()).node}`);
const burnt = await request("POST", "/entities/cart/ada/burn");
console.log(`POST /entities/cart/ada/burn    ${burnt.status} ${(await burnt.json()).code}`);

await edge.close();
await cluster.stop();

function request(method: "GET" | "POST", path: string, body?: object): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return fetch(edge.url + path, { method, headers, ...(body && { body: JSON.stringify(body) }) });
}
