/**
 * The first message to an entity that is stored and not in memory: `state-load.ts
 * <sqlite|nats|redis>`. A query, so nothing is written for it; the entity has left memory in good
 * order before. One after the other; the floor is the raw read of a text of the same length.
 */
import process from "node:process";
import { runtimeOf } from "../../src/base/runtime.ts";
import { atMost, type Figure } from "../figure.ts";
import { openRawStore, type StoreKind } from "../floors/raw-store.ts";
import { contest, type Load } from "../measure/contest.ts";
import { effort } from "../measure/effort.ts";
import { inFlight, oneByOne } from "../measure/in-flight.ts";
import { RECORD, StoredAccount } from "../processes/stored-account.ts";
import { say } from "../parent.ts";
import { StorePlace } from "../store-place.ts";

const ENTITIES = 1_024;
const IN_FLIGHT = 64;
const GOAL = 3;

const kind = process.argv[2] as StoreKind;
await using place = await StorePlace.open(kind);
await using cluster = await place.start(StoredAccount);
const raw = await openRawStore(kind, { at: place.at, count: ENTITIES });
const account = (n: number): ReturnType<typeof cluster.entity<typeof StoredAccount>> =>
  cluster.entity(StoredAccount, `account-${n % ENTITIES}`);

let activations = 0;
cluster.on("entity-activated", () => void activations++);
/** Only the query is timed. */
const subject: Load = async (count, latenciesMs) => {
  for (let n = 0; n < count; n++) {
    const before = activations;
    const beganMs = performance.now();
    await account(n).send({ type: "balance" });
    latenciesMs.push(performance.now() - beganMs);
    if (activations !== before + 1) throw new Error("Cannot measure: it was in memory");
    await account(n).send({ type: "leave" });
  }
};

await inFlight(IN_FLIGHT, (n) => account(n).send({ type: "deposit", amount: 1 }))(ENTITIES, []);
await inFlight(IN_FLIGHT, (n) => account(n).send({ type: "leave" }))(ENTITIES, []);
await inFlight(IN_FLIGHT, (n) => raw.write(n, RECORD))(ENTITIES, []);

const floor = oneByOne((n) => raw.read(n % ENTITIES));
const outcome = await contest({ subject, floor }, effort());
const { name, version } = runtimeOf();
const { p50Us, p99Us } = outcome.subject;
for (const [what, ops, reference, ratio] of [
  ["p50", p50Us, outcome.floor.p50Us, outcome.ratioP50],
  ["p99", p99Us, outcome.floor.p99Us, outcome.ratioP99],
] as const) {
  say({
    name: `${kind} activation from the store, ${what}`,
    runtime: `${name} ${version}`,
    unit: "µs",
    ops,
    p50Us,
    p99Us,
    n: outcome.n,
    floor: reference,
    ratio,
    goals: kind === "sqlite" ? [] : [atMost(ratio, GOAL, "× a raw read")],
  } satisfies Figure);
}
await raw.close();
