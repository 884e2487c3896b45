/**
 * Commands of entities that are kept with write-through: `state-writes.ts <sqlite|nats|redis>`. One
 * process, a cluster of one node; an answer leaves when the store has acknowledged the write.
 *
 * The floor is the store's own compare-and-set from the same process, of a text as long as the
 * record, with as many in flight (`floors/raw-store.ts`): 256 of them over 4,096 entities; then one
 * after the other, where the figure is what one takes; then two commands at a time for one entity,
 * beside compare-and-sets of one record, which cannot but follow each other. With SQLite the first
 * stands beside two floors: all of a burst in one transaction, and one transaction for each.
 */
import process from "node:process";
import { runtimeOf } from "../../src/base/runtime.ts";
import { atLeast, atMost, type Figure } from "../figure.ts";
import { openRawStore, type StoreKind } from "../floors/raw-store.ts";
import { contest, type Outcome } from "../measure/contest.ts";
import { effort } from "../measure/effort.ts";
import { inFlight, oneByOne } from "../measure/in-flight.ts";
import { RECORD, StoredAccount } from "../processes/stored-account.ts";
import { say } from "../parent.ts";
import { StorePlace } from "../store-place.ts";

const ENTITIES = 4_096;
const IN_FLIGHT = 256;
const RACING = 2;
const GOAL = 0.5;
const SINGLE_GOAL = 2;

type Call = (n: number) => Promise<unknown>;

const kind = process.argv[2] as StoreKind;
const runtime = `${runtimeOf().name} ${runtimeOf().version}`;
const whole = effort();

await using place = await StorePlace.open(kind);
await using cluster = await place.start(StoredAccount);
const raw = await openRawStore(kind, { at: place.at, count: ENTITIES });
const ids = Array.from({ length: ENTITIES }, (_, n) => `account-${n}`);
const deposit = (id: string): Promise<unknown> =>
  cluster.entity(StoredAccount, id).send({ type: "deposit", amount: 1 });

const call: Call = (n) => deposit(ids[n % ENTITIES]!);
const write: Call = (n) => raw.write(n % ENTITIES, RECORD);
// All are in memory, and every record is there.
await inFlight(IN_FLIGHT, call)(ENTITIES, []);
await inFlight(IN_FLIGHT, write)(ENTITIES, []);

await many();
await one();
await hot();
await raw.close();

async function many(): Promise<void> {
  const subject = inFlight(IN_FLIGHT, call);
  const what = `write-through, ${IN_FLIGHT} in flight`;
  const outcome = await contest({ subject, floor: inFlight(IN_FLIGHT, write) }, whole);
  sayRate(kind === "sqlite" ? `${what}, ÷ batched` : what, outcome);
  if (kind !== "sqlite") return;
  sayRate(`${what}, ÷ 1 by 1`, await contest({ subject, floor: oneByOne(write) }, whole));
}

async function one(): Promise<void> {
  const outcome = await contest({ subject: oneByOne(call), floor: oneByOne(write) }, whole);
  const { subject, floor, n, ratioP50 } = outcome;
  say({
    name: `${kind} write-through, 1 in flight, p50`,
    runtime,
    unit: "µs",
    ops: subject.p50Us,
    p50Us: subject.p50Us,
    p99Us: subject.p99Us,
    n,
    floor: floor.p50Us,
    ratio: ratioP50,
    goals: [atMost(ratioP50, SINGLE_GOAL, "× the floor")],
  } satisfies Figure);
}

async function hot(): Promise<void> {
  const subject = inFlight(RACING, () => deposit("hot"));
  const floor = oneByOne(() => raw.write(0, RECORD));
  sayRate(`write-through, ${RACING} for 1 entity`, await contest({ subject, floor }, whole));
}

function sayRate(what: string, { subject, floor, n, ratio }: Outcome): void {
  say({
    name: `${kind} ${what}`,
    runtime,
    unit: "/s",
    ops: subject.opsPerSecond,
    p50Us: subject.p50Us,
    p99Us: subject.p99Us,
    n,
    floor: floor.opsPerSecond,
    ratio,
    goals: [atLeast(ratio, GOAL, "× the floor")],
  } satisfies Figure);
}
