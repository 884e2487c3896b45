/**
 * Two nodes share the entities, and every caller reaches every entity: where one lives makes no
 * difference to the code. Both nodes are in this process here; two processes do the same.
 *
 * `npx bun examples/02-two-nodes.ts` prints:
 *
 *     100 notebooks with 2 lines each, one from either node
 *     they live on: east, west
 */
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { Cluster, command, defineEntity } from "../src/index.ts";

const Notebook = defineEntity("notebook", {
  messages: { write: command<{ line: string }, { lines: number; node: string }>() },
  state: () => ({ lines: [] as string[] }),
  handlers: {
    write: ({ state, node }, { line }) => ({ lines: state.lines.push(line), node }),
  },
});

// A name of its own keeps this run apart from everything else on this machine.
const name = `two-nodes-${process.pid}`;
await using east = await Cluster.start({ name, nodeId: "east", entities: [Notebook] });
await using west = await Cluster.start({ name, nodeId: "west", entities: [Notebook] });

// Calls may begin at once. This waits only to show that a node which joins soon owns its share.
const ids = Array.from({ length: 100 }, (_, number) => `notebook-${number}`);
const owners = (): Set<string | undefined> =>
  new Set(ids.map((id) => east.owner("notebook", id)?.node));
while (!owners().has("west")) await delay(10);

let complete = 0;
const homes = new Set<string>();
for (const id of ids) {
  await east.entity("notebook", id).send({ type: "write", line: "Hello from the east" });
  const message = { type: "write", line: "Greetings from the west" } as const;
  const { lines, node } = await west.entity("notebook", id).send(message);
  if (lines === 2) complete++;
  homes.add(node);
}
console.log(`${complete} notebooks with 2 lines each, one from either node`);
console.log(`they live on: ${[...homes].toSorted().join(", ")}`);
