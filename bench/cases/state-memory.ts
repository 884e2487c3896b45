/**
 * What entities that are kept take of the memory of their node, by the runtime's own count (heap
 * and external), garbage collected before and after.
 *
 * An entity that is kept, beside the same one that is not. And its window of answers to commands
 * with a key, when it is full, which is 1,024 of them: the floor is a map of as many keys, each
 * with a time and a number. The store beside them keeps nothing.
 */
import process from "node:process";
import { DEDUP_ENTRIES_MAX, DEDUP_MS } from "../../src/base/limits.ts";
import { runtimeOf } from "../../src/base/runtime.ts";
import { Cluster, command, defineEntity } from "../../src/index.ts";
import { atMost, type Figure } from "../figure.ts";
import { idleStore } from "../floors/idle-store.ts";
import { effort } from "../measure/effort.ts";
import { inFlight } from "../measure/in-flight.ts";
import { settledMemory } from "../measure/memory.ts";
import { newClusterName, useOwnSecretFolder } from "../processes/cluster-name.ts";
import { say } from "../parent.ts";

const PART = 10;
const WINDOWS = 64;
const KEY_CHARS = 26;
const GOAL_ENTITY = 1_024;
const GOAL_WINDOW = 3;

const messages = { deposit: command<{ amount: number }, number>() };
const state = (): { balance: number } => ({ balance: 0 });
type Turn = { readonly state: { balance: number } };
const handlers = {
  deposit: ({ state: own }: Turn, { amount }: { amount: number }) => (own.balance += amount),
};
const types = [
  defineEntity("plain", { messages, state, handlers }),
  defineEntity("kept", { messages, persistence: "write-behind", state, handlers }),
];

useOwnSecretFolder();
await using cluster = await Cluster.start({
  name: newClusterName(),
  store: idleStore(),
  entities: types,
});
const deposit = (type: "plain" | "kept", id: string, idempotencyKey?: string): Promise<unknown> => {
  const options = idempotencyKey === undefined ? {} : { idempotencyKey };
  return cluster.entity(type, id).send({ type: "deposit", amount: 1 }, options);
};
const keyOf = (n: number): string => `${n}`.padStart(KEY_CHARS, "k");

const count = effort().liveEntities / PART;
const fill = (type: "plain" | "kept", prefix: string, many: number): Promise<void> =>
  inFlight(256, (n) => deposit(type, `${prefix}-${n}`))(many, []);
for (const type of ["plain", "kept"] as const) await fill(type, "early", 2_000);

const plain = (await grownBy(() => fill("plain", "entity", count))) / count;
const kept = (await grownBy(() => fill("kept", "entity", count))) / count;
report("memory of an entity that is kept", { ops: kept, floor: plain, n: count }, GOAL_ENTITY);

const floors: Map<string, { untilMs: number; value: number }>[] = [];
const maps = await grownBy(async () => {
  for (let window = 0; window < WINDOWS; window++) {
    const map = new Map<string, { untilMs: number; value: number }>();
    for (let n = 0; n < DEDUP_ENTRIES_MAX; n++) {
      map.set(`deposit ${keyOf(n + window)}`, { untilMs: Date.now() + DEDUP_MS, value: n });
    }
    floors.push(map);
  }
});
const windows = await grownBy(async () => {
  const write = (n: number): Promise<unknown> =>
    deposit("kept", `window-${n % WINDOWS}`, keyOf(Math.floor(n / WINDOWS)));
  await inFlight(256, write)(WINDOWS * DEDUP_ENTRIES_MAX, []);
});
const sizes = { ops: windows / WINDOWS, floor: maps / floors.length, n: WINDOWS };
report("memory of 1,024 answers of an entity", sizes, GOAL_WINDOW * sizes.floor);
// A clean stop would let each of them go by itself.
process.exit(0);

async function grownBy(make: () => Promise<void>): Promise<number> {
  const before = await settledMemory();
  await make();
  return (await settledMemory()).heapBytes - before.heapBytes;
}

function report(
  what: string,
  { ops, floor, n }: { readonly ops: number; readonly floor: number; readonly n: number },
  bound: number,
): void {
  const { name, version } = runtimeOf();
  say({
    name: what,
    runtime: `${name} ${version}`,
    unit: "bytes",
    ops,
    p50Us: null,
    p99Us: null,
    n,
    floor,
    ratio: ops / floor,
    goals: [atMost(ops, bound, "bytes")],
  } satisfies Figure);
}
