/**
 * What it costs that a node counts: messages for the sketch of hot keys, turns for the figures that
 * travel with its heartbeats. The floor is the same source without those two lines, in the same
 * process. There are two copies of each, in the order A B B A: of two that are the same, V8 makes
 * the one that comes first slower by some percent. 1,000 entities in turn are more than there are
 * counters, so nearly every message that is counted takes over the counter of another entity, which
 * costs most.
 */
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import type * as Catga from "../../src/index.ts";
import { build } from "../build.ts";
import { atLeast, rateFigure } from "../figure.ts";
import { compete, type Load, outcomeOf } from "../measure/contest.ts";
import { effort } from "../measure/effort.ts";
import { inFlight } from "../measure/in-flight.ts";
import { say } from "../parent.ts";

const IN_FLIGHT = 256;
/** One round after the other drifts more than the two differ. */
const ROUNDS_TIMES = 2;
const COUNTING = [
  ["runtime/entity-host.js", "hot.count(this.definition.name, id);"],
  ["runtime/slices.js", "this.turns++;"],
] as const;

const ids = Array.from({ length: 1_000 }, (_, n) => `account-${n}`);

/** A load of sends within the node of a copy of catga. */
async function sender(source: URL): Promise<{ load: Load; stop: () => Promise<void> }> {
  const { Cluster, command, defineEntity }: typeof Catga = await import(`${source}index.js`);
  const Account = defineEntity("account", {
    messages: { deposit: command<{ amount: number }, number>() },
    state: () => ({ balance: 0 }),
    handlers: { deposit: ({ state }, { amount }) => (state.balance += amount) },
  });
  const cluster = await Cluster.start({ transport: "memory", entities: [Account] });
  const load = inFlight(IN_FLIGHT, (n) =>
    cluster.entity("account", ids[n % ids.length]!).send({ type: "deposit", amount: 1 }),
  );
  return { load, stop: () => cluster.stop() };
}

/** A copy of catga, with or without the lines that count. */
function copyOf(source: URL, isCounting: boolean, number: number): URL {
  const copy = new URL(`../copy-${number}/`, source);
  cpSync(source, copy, { recursive: true });
  for (const [file, line] of isCounting ? [] : COUNTING) {
    const text = readFileSync(new URL(file, copy), "utf8");
    if (text.split(line).length !== 2) throw new Error(`Cannot take "${line}" out of ${file}`);
    writeFileSync(new URL(file, copy), text.replace(line, ""));
  }
  return copy;
}

using built = build();
const source = new URL("../src/", built.folder);
const copies = [true, false, false, true].map((isCounting, n) => copyOf(source, isCounting, n));
const senders = await Promise.all(copies.map(sender));
const usual = effort();
const sides = await compete(
  senders.map(({ load }) => load),
  { ...usual, rounds: usual.rounds * ROUNDS_TIMES },
);
const outcome = outcomeOf(sides[0]!, sides[1]!);
const other = outcomeOf(sides[3]!, sides[2]!);
const ratio = Math.sqrt(outcome.ratio * other.ratio);
say(rateFigure("local send, counted", outcome, [atLeast(ratio, 0.97, "× floor")]));
await Promise.all(senders.map(({ stop }) => stop()));
