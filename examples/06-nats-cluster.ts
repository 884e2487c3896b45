/**
 * Nodes of many machines meet at a NATS server. Both are in this process here; on two machines they
 * are the same lines twice. When one leaves, what its entities know moves to the other.
 *
 * Start a broker with `nats-server -js`, or say in NATS_URL where one is. Then
 * `npx bun examples/06-nats-cluster.ts` prints:
 *
 *     200 seats sold at two nodes, none of them twice
 *     the shows live on: lisbon, oslo
 *     lisbon has left, and oslo sells seat 11 of each of the 20 shows
 */
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { nats } from "../src/drivers/nats/index.ts";
import { Cluster, command, defineEntity } from "../src/index.ts";

const Show = defineEntity("show", {
  messages: { sell: command<void, number>() },
  state: () => ({ sold: 0 }),
  handlers: { sell: ({ state }) => ++state.sold },
});

// For this much, `Cluster.start("nats://127.0.0.1:4222")` or CLUSTER_TRANSPORT would do.
const transport = nats({
  // A list names several servers of one NATS cluster.
  servers: process.env["NATS_URL"] ?? "nats://127.0.0.1:4222",
  // A broker that strangers can reach needs accounts and TLS. A node shows who it is by `user` and
  // `pass`, by `token`, or by `credentials: "/etc/shows/node.creds"`, as `nsc` writes it, and
  // `tls: { caFile: "/etc/shows/ca.pem" }` lets it talk to no other broker than yours.
});

// A name of its own keeps this run apart from everything else at the broker.
const name = `shows-${process.pid}`;
await using oslo = await Cluster.start({ transport, name, nodeId: "oslo", entities: [Show] });
await using lisbon = await Cluster.start({ transport, name, nodeId: "lisbon", entities: [Show] });

const ids = Array.from({ length: 20 }, (_, number) => `show-${number}`);
const ownerOf = (id: string): string => oslo.owner("show", id)?.node ?? "nobody";
const owners = (): Set<string> => new Set(ids.map(ownerOf));
while (!owners().has("lisbon")) await delay(10);

const homes = owners();
const sales = ids.flatMap((id) =>
  [oslo, lisbon].flatMap((node) =>
    Array.from({ length: 5 }, async () => {
      return `${id}: ${await node.entity(Show, id).send({ type: "sell" })}`;
    }),
  ),
);
const seats = new Set(await Promise.all(sales));
console.log(`${seats.size} seats sold at two nodes, none of them twice`);
console.log(`the shows live on: ${[...homes].toSorted().join(", ")}`);

await lisbon.stop();
const next = await Promise.all(ids.map((id) => oslo.entity(Show, id).send({ type: "sell" })));
const eleventh = next.filter((seat) => seat === 11).length;
console.log(`lisbon has left, and oslo sells seat 11 of each of the ${eleventh} shows`);
