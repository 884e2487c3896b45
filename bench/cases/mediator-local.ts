/**
 * Messages that find their handler in the same process, 256 callers at a time: `mediator-local.ts
 * <send|guarded|keyed|cached>`, one process for each, so that none profits or suffers from what the
 * compiler learned in another.
 *
 * Beside a message that any node may handle stand Moleculer's `broker.call`, bare and with the
 * guards that every call of catga has, and the least there is, a map of async functions; beside one
 * with a key, of which one at a time is handled, the map of queues that stands beside entities too;
 * beside a query whose answers are kept a map that hands out promises.
 */
import process from "node:process";
import { Cluster, defineCommand, defineQuery, handler } from "../../src/index.ts";
import { atLeast, type Goal, rateFigure } from "../figure.ts";
import { AsyncMailboxes } from "../floors/mailboxes.ts";
import { GUARDED, MoleculerCaller } from "../floors/moleculer.ts";
import { compete, type Load, type Outcome, outcomeOf } from "../measure/contest.ts";
import { effort } from "../measure/effort.ts";
import { inFlight } from "../measure/in-flight.ts";
import { say } from "../parent.ts";

const KEYS = 1_000;
const IN_FLIGHT = 256;

const Deposit = defineCommand<{ amount: number }, number>("deposit");
const DepositTo = defineCommand<{ account: string; amount: number }, number>("deposit.to", {
  route: { strategy: "consistentHash", key: "account" },
});
const BalanceOf = defineQuery<{ account: string }, { total: number; paid: boolean }>("balance.of", {
  cache: { ttl: "1h", key: "account" },
});

let balance = 0;
const handlers = [
  handler(Deposit, ({ amount }) => (balance += amount)),
  handler(DepositTo, ({ amount }) => (balance += amount)),
  handler(BalanceOf, () => ({ total: 12.5, paid: true })),
];
await using cluster = await Cluster.start({ transport: "memory", handlers });

interface Floor {
  readonly name: string;
  readonly load: Load;
  readonly goals?: (outcome: Outcome) => Goal[];
}

interface Case {
  readonly name: string;
  readonly subject: Load;
  readonly floors: readonly Floor[];
}

const send: Load = inFlight(IN_FLIGHT, () => cluster.send(Deposit({ amount: 1 })));
const deposited = (body: unknown): number => (balance += (body as { amount: number }).amount);

async function sendCase(): Promise<Case> {
  const moleculer = await MoleculerCaller.alone(deposited);
  const map = new Map([["deposit", async (body: object) => deposited(body)]]);
  return {
    name: "mediator send",
    subject: send,
    floors: [
      {
        name: "broker.call",
        load: inFlight(IN_FLIGHT, () => moleculer.call({ amount: 1 })),
        goals: ({ subject, ratio }) => [
          atLeast(subject.opsPerSecond, 1_000_000, "/s"),
          atLeast(ratio, 4, "× broker.call"),
        ],
      },
      {
        name: "map of functions",
        load: inFlight(IN_FLIGHT, () => map.get("deposit")!({ amount: 1 })),
      },
    ],
  };
}

async function guardedCase(): Promise<Case> {
  const moleculer = await MoleculerCaller.alone(deposited, GUARDED);
  const load = inFlight(IN_FLIGHT, () => moleculer.call({ amount: 1 }));
  return {
    name: "mediator send",
    subject: send,
    floors: [
      {
        name: "broker.call, guarded",
        load,
        goals: ({ ratio }) => [atLeast(ratio, 4, "× broker.call")],
      },
    ],
  };
}

const keys = Array.from({ length: KEYS }, (_, n) => `account-${n}`);
const keyOf = (n: number): string => keys[n % KEYS]!;

async function keyedCase(): Promise<Case> {
  const mailboxes = new AsyncMailboxes();
  return {
    name: "mediator send, keyed",
    subject: inFlight(IN_FLIGHT, (n) => cluster.send(DepositTo({ account: keyOf(n), amount: 1 }))),
    floors: [
      {
        name: "map of queues",
        load: inFlight(IN_FLIGHT, (n) => mailboxes.send(keyOf(n), { type: "deposit", amount: 1 })),
      },
    ],
  };
}

async function cachedCase(): Promise<Case> {
  const kept = new Map(keys.map((key) => [key, { total: 12.5, paid: true }]));
  return {
    name: "mediator send, cached query",
    subject: inFlight(IN_FLIGHT, (n) => cluster.send(BalanceOf({ account: keyOf(n) }))),
    floors: [
      {
        name: "map of answers",
        load: inFlight(IN_FLIGHT, (n) => Promise.resolve(kept.get(keyOf(n)))),
        goals: ({ subject }) => [atLeast(subject.opsPerSecond, 2_000_000, "/s")],
      },
    ],
  };
}

const CASES = { send: sendCase, guarded: guardedCase, keyed: keyedCase, cached: cachedCase };

const chosen = await CASES[process.argv[2] as keyof typeof CASES]();
const loads = [chosen.subject, ...chosen.floors.map(({ load }) => load)];
const [subject, ...floors] = await compete(loads, effort());
for (const [n, floor] of floors.entries()) {
  const outcome = outcomeOf(subject!, floor);
  const { name: what, goals } = chosen.floors[n]!;
  say(rateFigure(`${chosen.name}, ÷ ${what}`, outcome, goals?.(outcome) ?? []));
}
