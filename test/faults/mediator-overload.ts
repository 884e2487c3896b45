/** One of three nodes is slow: it gets less, or refuses and others take it, and it recovers. */
import { setTimeout as wait } from "node:timers/promises";
import { waitUntil } from "../contracts/wait-until.ts";
import { Ask, type Definition } from "./handled.ts";
import type { MediatorScenario } from "./mediator-scenario.ts";
import type { Rig } from "./rig.ts";
import type { LaneSpec, Sender } from "./sender.ts";

const SLOW = "n2";
const FACTOR = 20;
const MS = 10;
/** Answers of each type on which a share rests. */
const ANSWERS = 400;
/** A node that is slow has at most this part of what round robin gives it. */
const LESS = 0.6;
/** One that is well again has at least this part of what it should have. */
const ENOUGH = 0.6;
const PHASE_TIMEOUT_MS = 120_000;

const LOAD: readonly LaneSpec[] = [Ask.roundRobin, Ask.leastConnections, Ask.leastLoad].map(
  (of) => ({ of, lanes: 6, ms: MS }),
);

type Spoil = (rig: Rig) => Promise<() => Promise<void>>;

/** Something makes `n2` slow, and ends. */
function slow(how: string, spoil: Spoil): MediatorScenario {
  return {
    name: `a node that is slow: ${how}`,
    heartbeat: "normal",
    load: LOAD,
    isPlanned: true,
    async run(rig, senders) {
      const types = [Ask.leastConnections, Ask.leastLoad];
      const mend = await spoil(rig);
      // What it had when it became slow, and what was not known of it, does not count.
      await shares(senders, [Ask.leastConnections, Ask.leastLoad]);
      const [even, ...less] = await shares(senders, [Ask.roundRobin, ...types]);
      await mend();
      for (const [n, { type }] of types.entries()) {
        const text = `${type} gives ${SLOW} ${percent(less[n]!)}, round robin ${percent(even!)}`;
        rig.check(text, less[n]! < LESS * even!);
      }
      await wellAgain(senders, types);
      return `shares of ${SLOW}: ${[even!, ...less].map(percent).join(", ")}`;
    },
  };
}

/** Handlers take longer than the bulkhead lets in: who is refused goes elsewhere. */
const BULKHEAD: MediatorScenario = {
  name: "a node that is slow: its bulkhead refuses",
  heartbeat: "normal",
  // Fewer at once than the nodes take together: somebody always has room.
  load: [{ of: Ask.narrow, lanes: 2, ms: MS }, { of: Ask.roundRobin }],
  mayFail: { [Ask.narrow.type]: ["OVERLOADED"] },
  async run(rig, senders) {
    await rig.tell(SLOW, `slow ${FACTOR * 5}`);
    const [even, narrow] = await shares(senders, [Ask.roundRobin, Ask.narrow]);
    const text = `the bulkhead leaves ${SLOW} ${percent(narrow!)}, round robin ${percent(even!)}`;
    rig.check(text, narrow! < LESS * even!);
    const before = failures(senders);
    rig.check(`the others took what it refused (${before} were not taken)`, before === 0);
    // Nobody has room for so many, and nobody looks for another node.
    const crowd = Array.from({ length: 12 }, () =>
      senders[0]!.send({ of: Ask.narrow, ms: MS, retries: 0 }, 100),
    );
    const refused = (await Promise.all(crowd)).filter(({ failure }) => failure !== undefined);
    rig.check("a crowd was refused", refused.length > 0);
    await rig.tell(SLOW, "slow 1");
    await wellAgain(senders, [Ask.narrow]);
    return `shares of ${SLOW}: ${percent(even!)}, ${percent(narrow!)}, ${refused.length} refused`;
  },
};

/** See the file's header. */
export const OVERLOADS: readonly MediatorScenario[] = [
  slow(`handlers take ${FACTOR} times as long`, async (rig) => {
    await rig.tell(SLOW, `slow ${FACTOR}`);
    return () => rig.tell(SLOW, "slow 1");
  }),
  slow("its loop is blocked", async (rig) => {
    const state = { isBlocking: true };
    const block = async (): Promise<void> => {
      while (state.isBlocking) {
        await rig.block(SLOW, 100);
        await wait(10);
      }
    };
    const blocking = block();
    return () => {
      state.isBlocking = false;
      return blocking;
    };
  }),
  BULKHEAD,
];

/** Which part `n2` has of the next answers of each type. */
async function shares(
  senders: readonly Sender[],
  types: readonly Definition[],
  answers: number = ANSWERS,
): Promise<number[]> {
  const begun = senders.map(({ sent }) => sent.length);
  const nodesOf = ({ type }: Definition): string[] =>
    senders.flatMap(({ sent }, at) =>
      sent
        .slice(begun[at])
        .filter((each) => each.type === type)
        .flatMap(({ outcomes }) => outcomes.map(({ node }) => node)),
    );
  const isEnough = (): boolean => types.every((type) => nodesOf(type).length >= answers);
  await waitUntil("there are enough answers", async () => (await wait(50), isEnough()), {
    timeoutMs: PHASE_TIMEOUT_MS,
    describe: () => types.map((type) => nodesOf(type).length),
  });
  return types.map((type) => {
    const nodes = nodesOf(type);
    return nodes.filter((node) => node === SLOW).length / nodes.length;
  });
}

/** Resolves when `n2` has its share of each type again. */
async function wellAgain(senders: readonly Sender[], types: readonly Definition[]): Promise<void> {
  let last: number[] = [];
  const isWell = async (): Promise<boolean> => {
    last = await shares(senders, types, ANSWERS / 4);
    return last.every((share) => share >= ENOUGH / 3);
  };
  await waitUntil(`${SLOW} has its share again`, isWell, {
    timeoutMs: PHASE_TIMEOUT_MS,
    describe: () => last,
  });
}

function failures(senders: readonly Sender[]): number {
  return senders.flatMap(({ sent }) => sent).filter(({ failure }) => failure !== undefined).length;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
