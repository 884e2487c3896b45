/**
 * Nodes of many machines meet at a Redis server. One node hosts the entities, the other only calls.
 *
 * Start a broker with `redis-server --appendonly yes`, or say in REDIS_URL where one is. Then
 * `npx bun examples/07-redis-cluster.ts` prints:
 *
 *     ada: yes, yes, yes, no, no
 *     eve: yes
 *     ada, later: yes
 */
import process from "node:process";
import { redis } from "../src/drivers/redis/index.ts";
import { Cluster, command, defineContract } from "../src/index.ts";

const Limit = defineContract("limit", {
  /** Answers whether this customer may; three times in a window. */
  ask: command<void, boolean>(),
  over: command(),
});

const over = Promise.withResolvers<void>();
const HostedLimit = Limit.implement({
  state: () => ({ asked: 0 }),
  handlers: {
    ask(context) {
      // One message at a time, in the whole cluster: no lock, no script in the server.
      if (++context.state.asked === 1) context.after("200ms", { type: "over" });
      return context.state.asked <= 3;
    },
    over({ id, state }) {
      state.asked = 0;
      if (id === "ada") over.resolve();
    },
  },
});

// For this much, `Cluster.start("redis://127.0.0.1:6379")` or CLUSTER_TRANSPORT would do.
const transport = redis({
  url: process.env["REDIS_URL"] ?? "redis://127.0.0.1:6379",
  // A server that strangers can reach needs a user and TLS: `username` and `password`, or both in
  // the URL, and `tls: true`, or `tls: { ca }` for an authority of your own.
});

// A name of its own keeps this run apart from everything else at the server.
const name = `limits-${process.pid}`;
await using host = await Cluster.start({ transport, name, entities: [HostedLimit] });
await using caller = await Cluster.start({ transport, name });

const ask = async (id: string): Promise<string> =>
  (await caller.entity(Limit, id).send({ type: "ask" })) ? "yes" : "no";
const answers = Array.from({ length: 5 }, () => ask("ada"));
console.log(`ada: ${(await Promise.all(answers)).join(", ")}`);
console.log(`eve: ${await ask("eve")}`);
await over.promise;
console.log(`ada, later: ${await ask("ada")}`);
await host.stop();
