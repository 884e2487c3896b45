/**
 * A job that runs on one node of the cluster, as cron runs it on one machine: on the leader, and on
 * the next one when that leaves.
 *
 * `npx bun examples/12-cron-singleton.ts` prints:
 *
 *     report 1, by east
 *     report 2, by east
 *     east leaves
 *     report 3, by west
 *     report 4, by west
 */
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { Cluster, type ClusterOf, command, defineEntity } from "../src/index.ts";

const EVERY_MS = 50;
const REPORTS = 4;

/** What was done: an entity remembers it, for one leader follows another. */
const Journal = defineEntity("journal", {
  messages: { begin: command<void, number>() },
  // In earnest it is "write-through", and outlives the crash of every node.
  persistence: "none",
  state: () => ({ begun: 0 }),
  handlers: {
    // A leader that stood still may wake up beside the next one: they get different numbers.
    begin: ({ state }) => ++state.begun,
  },
});

const name = `cron-${process.pid}`;
const twoAreDone = Promise.withResolvers<void>();
const allAreDone = Promise.withResolvers<void>();

async function start(nodeId: string): Promise<ClusterOf<typeof Journal>> {
  const cluster = await Cluster.start({ name, nodeId, entities: [Journal] });
  // Every node says so, under one name; the leader runs it.
  cluster.singleton("reports", async (signal) => {
    const journal = cluster.entity("journal", "reports");
    for (let number = 0; number < REPORTS;) {
      number = await journal.send({ type: "begin" });
      console.log(`report ${number}, by ${nodeId}`);
      if (number === 2) twoAreDone.resolve();
      // It rejects when the signal aborts, which ends the task.
      await sleep(EVERY_MS, undefined, { signal });
    }
    allAreDone.resolve();
  });
  return cluster;
}

const east = await start("east");
const west = await start("west");
await twoAreDone.promise;
console.log("east leaves");
await east.stop();
await allAreDone.promise;
await west.stop();
