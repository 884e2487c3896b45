/**
 * Live entities in one process: each has a small state, has handled one message, and waits in
 * memory with its idle timer armed. Bytes per entity are what the process grew by, garbage
 * collected before and after, divided by their number: once as the operating system sees it
 * (resident) and once as the runtime counts it (heap and external). Ids are 14 characters and
 * belong to the bill.
 *
 * The node is one in memory, since it is entities that are weighed. That all of them live is
 * checked: as many were made, and none has left.
 */
import process from "node:process";
import { runtimeOf } from "../../src/base/runtime.ts";
import { Cluster, command, defineEntity } from "../../src/index.ts";
import { atMost, type Figure } from "../figure.ts";
import { effort } from "../measure/effort.ts";
import { inFlight } from "../measure/in-flight.ts";
import { settledMemory } from "../measure/memory.ts";
import { say } from "../parent.ts";

const WARM_UP = 2_000;
const GOAL_BYTES = 1_024;

let made = 0;
let left = 0;
const Account = defineEntity("account", {
  messages: { deposit: command<{ amount: number }, number>() },
  state: () => {
    made++;
    return { balance: 0, deposits: 0 };
  },
  handlers: {
    deposit: ({ state }, { amount }) => {
      state.deposits++;
      return (state.balance += amount);
    },
  },
  deactivated: () => {
    left++;
  },
});

const { liveEntities } = effort();
const cluster = await Cluster.start({ transport: "memory", entities: [Account] });

const deposits = (prefix: string): ReturnType<typeof inFlight> =>
  inFlight(256, (n) => {
    const id = `${prefix}-${String(n).padStart(8, "0")}`;
    return cluster.entity("account", id).send({ type: "deposit", amount: 1 });
  });

// The code that runs here is compiled before the scales are read.
await deposits("early")(WARM_UP, []);
const before = await settledMemory();
await deposits("first")(liveEntities, []);
const after = await settledMemory();

if (made !== WARM_UP + liveEntities || left > 0) {
  throw new Error(`Cannot weigh ${liveEntities} entities: ${made} were made, ${left} have left`);
}

const { name, version } = runtimeOf();
for (const [what, grown] of [
  ["resident", after.residentBytes - before.residentBytes],
  ["heap and external", after.heapBytes - before.heapBytes],
] as const) {
  const ops = grown / liveEntities;
  say({
    name: `memory of a live entity, ${what}`,
    runtime: `${name} ${version}`,
    unit: "bytes",
    ops,
    p50Us: null,
    p99Us: null,
    n: liveEntities,
    floor: null,
    ratio: null,
    goals: [atMost(ops, GOAL_BYTES, "bytes")],
  } satisfies Figure);
}
// A clean stop would let each of them go by itself.
process.exit(0);
