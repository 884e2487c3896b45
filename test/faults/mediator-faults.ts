/** What happens to nodes while messages find their handlers; `n1` is the hub where there is one. */
import { setTimeout as wait } from "node:timers/promises";
import { waitUntil } from "../contracts/wait-until.ts";
import { Ask, Do, Vote } from "./handled.ts";
import { type MediatorScenario, runsOf } from "./mediator-scenario.ts";
import { OVERLOADS } from "./mediator-overload.ts";
import type { Rig } from "./rig.ts";
import { LEASE_MS } from "./scenario.ts";
import type { LaneSpec, Sender } from "./sender.ts";

/** Of one type so many at a time that a node which dies fails enough of them in a row. */
const CROWD = 24;
/** More than the failures in a row that open a circuit. */
const TOGETHER = 6;
/** Whenever a node dies, some of those that take this long run there. */
const LONG_MS = 300;
/** An answer that takes so much longer than its handler is noticed. */
const NOTICED_MS = 150;

const LOAD: readonly LaneSpec[] = [
  { of: Ask.roundRobin, lanes: CROWD, ms: LONG_MS },
  { of: Ask.roundRobin, lanes: 6, ms: 10 },
  { of: Do.roundRobin, ms: 10 },
  { of: Do.roundRobin, lanes: 8, ms: LONG_MS },
  { of: Ask.random },
  { of: Ask.leastConnections, ms: 5 },
  { of: Ask.leastLoad, ms: 5 },
  { of: Ask.consistentHash, ms: 5 },
  { of: Do.leastConnections, ms: 5 },
  { of: Do.leastLoad },
  { of: Do.consistentHash, ms: 5 },
  { of: Do.once, lanes: 4, ms: 5, retries: 5 },
  { of: Do.once, lanes: 6, ms: LONG_MS, retries: 5 },
  { of: Vote.majority, how: "broadcast" },
];

/** Ends `node` without a word under load; when nobody notices any more, it comes back. */
function killed(what: string, node: string): MediatorScenario {
  return {
    name: `SIGKILL of ${what}`,
    heartbeat: "fast",
    load: LOAD,
    breaks: { node, messages: [Ask.roundRobin.type] },
    async run(rig, senders) {
      await busy(rig, node, senders);
      const killedMs = performance.now();
      await rig.kill(node);
      await goneBy(senders, node);
      await Promise.all(senders.map((each) => each.allAnswered()));
      await wait(LEASE_MS);
      const noticed = noticedFor(senders, killedMs);
      rig.check("commands died with their node", lostCommands(senders) > 0);
      await rig.start(node);
      await rig.serves(node);
      return `noticed for ${noticed} ms`;
    },
  };
}

/** Stops a node in its tracks, with what it has; it goes on by itself, as another one or not. */
function hung(leases: number): MediatorScenario {
  const isDead = leases > 1;
  return {
    name: `SIGSTOP of a handler's node for ${leases} leases`,
    heartbeat: "fast",
    load: [...LOAD, { of: Ask.short, lanes: 12, ms: 30 }],
    // Some time out, some have no time left for another try, and on a machine that is busy so many
    // time out everywhere that all circuits open.
    mayFail: { [Ask.short.type]: ["CALL_TIMEOUT", "OUTCOME_UNKNOWN", "UNAVAILABLE"] },
    ...(isDead ? { breaks: { node: "n2", messages: [Ask.short.type, Ask.roundRobin.type] } } : {}),
    async run(rig, senders) {
      const stoppedMs = performance.now();
      await rig.freeze("n2", leases * LEASE_MS);
      if (isDead) {
        rig.check(
          "n2 was declared dead",
          senders.every(({ failed }) => failed.includes("n2")),
        );
      }
      await Promise.all(senders.map((each) => each.recovered(othersOf(rig, senders))));
      // What it had on its way would come now.
      await wait(LEASE_MS);
      const late = senders.flatMap((each) =>
        each.sent.filter(({ failure }) => failure?.code === "CALL_TIMEOUT"),
      ).length;
      return `${late} timed out, noticed for ${noticedFor(senders, stoppedMs)} ms`;
    },
  };
}

/** One node dies while all of them are at work on two broadcasts. */
const DYING_VOTER: MediatorScenario = {
  name: "SIGKILL of a node that has a broadcast",
  heartbeat: "fast",
  load: [{ of: Vote.majority, how: "broadcast", lanes: 6, ms: 5 }],
  async run(rig, senders) {
    const [sender] = senders;
    const ms = 4 * LEASE_MS;
    const sending = [Vote.majority, Vote.all].map((of, at) =>
      sender!.send({ of, how: "broadcast", ms }, 100 + at),
    );
    const begun = (): number => runsOf(rig).filter(({ id }) => /-10[01]-/.test(id)).length;
    await waitUntil("all have begun", () => begun() === 2 * rig.ids.length);
    await rig.kill("n2");
    const [majority, all] = await Promise.all(sending);
    const codes = majority!.outcomes.map((each) => `${each.node} ${each.ok ? "ok" : each.code}`);
    const expected = "n1 ok,n2 OUTCOME_UNKNOWN,n3 ok";
    rig.check(`of three two answered: ${codes.join()}`, codes.toSorted().join() === expected);
    const lost = all!.outcomes.some((each) => !each.ok && each.node === "n2");
    rig.check(`all cannot answer any more: ${JSON.stringify(all!.outcomes)}`, lost);
    return `waited ${Math.round(majority!.waitedMs)} ms`;
  },
};

const RESTART: MediatorScenario = {
  name: "a rolling restart of all nodes",
  heartbeat: "normal",
  load: [
    ...LOAD.filter(({ of }) => of !== Do.once),
    { of: Do.once, lanes: 8, ms: 5, how: "send twice" },
  ],
  isPlanned: true,
  async run(rig, senders) {
    const beganMs = performance.now();
    for (const id of ["n1", "n2", "n3"]) {
      await rig.stop(id);
      await goneBy(senders, id);
      await rig.start(id);
      await rig.serves(id);
    }
    const times = senders.flatMap(({ sent }) =>
      sent.flatMap((each) => (each.beganMs < beganMs ? [] : each.waitedMs)),
    );
    return `longest wait ${Math.round(Math.max(...times))} ms`;
  },
};

/** See the file's header. */
export const MEDIATOR_FAULTS: readonly MediatorScenario[] = [
  killed("a handler's node", "n2"),
  { ...killed("the hub", "n1"), drivers: ["embedded"] },
  ...[0.6, 3].map(hung),
  ...OVERLOADS,
  RESTART,
  DYING_VOTER,
];

/** Resolves when no sender sees `node`. */
async function goneBy(senders: readonly Sender[], node: string): Promise<void> {
  const sees = ({ cluster }: Sender): boolean => cluster.nodes.some((each) => each.node === node);
  await waitUntil(`${node} is gone`, () => !senders.some(sees), { timeoutMs: 30_000 });
}

/** Resolves when each sender waits for many answers of a node. */
async function busy(rig: Rig, node: string, senders: readonly Sender[]): Promise<void> {
  const isBusy = async (): Promise<boolean> => {
    await wait(20);
    const there = runsOf(rig).filter((run) => run.node === node);
    return senders.every(({ open }) => {
      return there.filter(({ id }) => open.get(id) === Ask.roundRobin).length >= TOGETHER;
    });
  };
  await waitUntil(`${node} has much to do`, isBusy, { timeoutMs: 30_000 });
}

function othersOf(rig: Rig, senders: readonly Sender[]): string[] {
  return [...rig.ids, ...senders.map(({ name }) => name)];
}

function lostCommands(senders: readonly Sender[]): number {
  return senders
    .flatMap(({ sent }) => sent)
    .filter(({ kind, failure }) => kind === "command" && failure?.code === "OUTCOME_UNKNOWN")
    .length;
}

/** From `sinceMs` to the end of the last call that failed or waited. */
function noticedFor(senders: readonly Sender[], sinceMs: number): number {
  let untilMs = sinceMs;
  for (const { failure, beganMs, waitedMs } of senders.flatMap(({ sent }) => sent)) {
    if (failure === undefined && waitedMs < NOTICED_MS) continue;
    untilMs = Math.max(untilMs, beganMs + waitedMs);
  }
  return Math.round(untilMs - sinceMs);
}
