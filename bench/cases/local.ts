/**
 * Messages to entities of the same process: 1,000 entities, 256 callers at a time, one process for
 * each case, so that no case profits or suffers from what the compiler learned in another.
 *
 * The floor is a map of queues with an async handler and a promise per call, driven by the same
 * loops with messages of the same shape: what anybody needs who wants one message at a time for a
 * key. The line "floor with a synchronous path" shows that floor against the quickest thing that
 * could still be called a mailbox; it is no product and has no goal.
 */
import process from "node:process";
import { setImmediate as nextTick } from "node:timers/promises";
import { Cluster, command, defineEntity, query } from "../../src/index.ts";
import { atLeast, type Goal, rateFigure } from "../figure.ts";
import { AsyncMailboxes, OneWayMailboxes, SyncMailboxes } from "../floors/mailboxes.ts";
import { contest, type Load, type Outcome } from "../measure/contest.ts";
import { effort } from "../measure/effort.ts";
import { inFlight } from "../measure/in-flight.ts";
import { say } from "../parent.ts";

const ENTITIES = 1_000;
const IN_FLIGHT = 256;
/** One-way messages under way, at most: nothing else holds back who does not wait for an answer. */
const UNHANDLED_MAX = 65_536;

let handled = 0;
const Account = defineEntity("account", {
  messages: {
    deposit: command<{ amount: number }, number>(),
    depositLater: command<{ amount: number }, number>(),
    credit: command<{ amount: number }>(),
    balance: query<{ amount: number }, number>(),
  },
  state: () => ({ balance: 0 }),
  handlers: {
    deposit: ({ state }, { amount }) => (state.balance += amount),
    depositLater: async ({ state }, { amount }) => (state.balance += amount),
    credit: ({ state }, { amount }) => {
      state.balance += amount;
      handled++;
    },
    balance: ({ state }, { amount }) => state.balance + amount,
  },
});

const ids = Array.from({ length: ENTITIES }, (_, n) => `account-${n}`);
const idOf = (n: number): string => ids[n % ENTITIES]!;

interface Case {
  readonly name: string;
  readonly goals?: (outcome: Outcome) => Goal[];
  readonly subject: Load;
  readonly floor: Load;
}

function sendFloor(): Load {
  const mailboxes = new AsyncMailboxes();
  return inFlight(IN_FLIGHT, (n) => mailboxes.send(idOf(n), { type: "deposit", amount: 1 }));
}

function tellFloor(): Load {
  const mailboxes = new OneWayMailboxes((error) => {
    throw error;
  });
  const load = inFlight(IN_FLIGHT, (n) => mailboxes.tell(idOf(n), { type: "credit", amount: 1 }));
  return async (count, latenciesMs) => {
    mailboxes.handled = 0;
    await load(count, latenciesMs);
    while (mailboxes.handled < count) await nextTick();
  };
}

await using cluster = await Cluster.start({ transport: "memory", entities: [Account] });

function tellSubject(): Load {
  let sent = 0;
  const mustWait = (): boolean => sent - handled >= UNHANDLED_MAX;
  const tell = (n: number): Promise<void> => {
    sent++;
    return cluster.entity("account", idOf(n)).tell({ type: "credit", amount: 1 });
  };
  const tellWhenFew = async (n: number): Promise<void> => {
    while (mustWait()) await nextTick();
    return tell(n);
  };
  const load = inFlight(IN_FLIGHT, (n) => (mustWait() ? tellWhenFew(n) : tell(n)));
  return async (count, latenciesMs) => {
    const isOver = (): boolean => handled >= count;
    sent = handled = 0;
    await load(count, latenciesMs);
    while (!isOver()) await nextTick();
  };
}

const sendGoals = ({ subject, ratio }: Outcome): Goal[] => [
  atLeast(subject.opsPerSecond, 1_000_000, "/s"),
  atLeast(ratio, 0.5, "× floor"),
];

const CASES: Readonly<Record<string, () => Case>> = {
  send: () => ({
    name: "local send",
    goals: sendGoals,
    subject: inFlight(IN_FLIGHT, (n) =>
      cluster.entity("account", idOf(n)).send({ type: "deposit", amount: 1 }),
    ),
    floor: sendFloor(),
  }),
  "send-async": () => ({
    name: "local send, async handler",
    subject: inFlight(IN_FLIGHT, (n) =>
      cluster.entity("account", idOf(n)).send({ type: "depositLater", amount: 1 }),
    ),
    floor: sendFloor(),
  }),
  query: () => ({
    name: "local send, query",
    subject: inFlight(IN_FLIGHT, (n) =>
      cluster.entity("account", idOf(n)).send({ type: "balance", amount: 1 }),
    ),
    floor: sendFloor(),
  }),
  tell: () => ({
    name: "local tell",
    goals: ({ subject }) => [atLeast(subject.opsPerSecond, 3_000_000, "/s")],
    subject: tellSubject(),
    floor: tellFloor(),
  }),
  "sync-floor": () => {
    const mailboxes = new SyncMailboxes();
    return {
      name: "floor with a synchronous path",
      subject: inFlight(IN_FLIGHT, (n) => mailboxes.send(idOf(n), { type: "deposit", amount: 1 })),
      floor: sendFloor(),
    };
  },
};

const chosen = CASES[process.argv[2] ?? "send"]!();
const outcome = await contest(chosen, effort());
say(rateFigure(chosen.name, outcome, chosen.goals?.(outcome)));
