/**
 * One process and nothing beside it: an entity with a command and a query.
 *
 * `npx bun examples/01-counter.ts` prints:
 *
 *     apples: 5
 *     pears: 1
 *     apples, asked: 5
 */
import { Cluster, command, defineEntity, query } from "../src/index.ts";

const Counter = defineEntity("counter", {
  messages: {
    add: command<{ by: number }, number>(),
    value: query<void, number>(),
  },
  state: () => ({ value: 0 }),
  handlers: {
    // One at a time per counter: nothing can come between reading and writing.
    add: ({ state }, { by }) => (state.value += by),
    value: ({ state }) => state.value,
  },
});

// "memory" stays within this process; without it, processes of this machine find each other.
await using cluster = await Cluster.start({ transport: "memory", entities: [Counter] });

// Nobody creates a counter. It is there because somebody sends it a message.
const apples = cluster.entity("counter", "apples");
await apples.send({ type: "add", by: 2 });
console.log(`apples: ${await apples.send({ type: "add", by: 3 })}`);
console.log(`pears: ${await cluster.entity("counter", "pears").send({ type: "add", by: 1 })}`);
console.log(`apples, asked: ${await apples.send({ type: "value" })}`);
