/**
 * Streams and channels over a link that loses, doubles and reorders frames, while shards move: the
 * real nodes in simulated time, with faults from a seed. A failure names the seed.
 */
import { expect, test } from "bun:test";
import { command, defineEntity } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";

const KEPT = 10;
const FRESH = 10;
const ROUNDS = 24;
/** Messages to each entity in a round: some wait while one has its turn. */
const BURST = 3;
const JOINS = [2, 5];
/** After this round the first node leaves, with everything on its way. */
const LEAVES = 12;

/** One frame in ten is lost, one doubled, all are delayed and so overtake each other. */
const NETWORK = { drop: 0.1, duplicate: 0.1, delay: [0, 30] } as const;

/** What every entity has heard last of each sender, over all nodes: `id/sender` to number. */
const heard = new Map<string, number>();
/** Turns that run at this moment, by entity: there is one at a time in the whole cluster. */
const running = new Set<string>();
/** Waits in the time of the run. */
let pause: (node: string, ms: number) => Promise<void>;

const List = defineEntity("list", {
  messages: { add: command<{ sender: number; n: number }, number>() },
  state: () => ({ last: new Map<number, number>(), since: new Date(0) }),
  handlers: {
    async add(ctx, { sender, n }) {
      if (running.has(ctx.id)) throw new Error(`${ctx.id} has two turns at once`);
      running.add(ctx.id);
      // Its state moves with it, and so it knows what the entity has heard elsewhere.
      const isFresh = ctx.id.startsWith("fresh");
      const key = `${ctx.id}/${sender}`;
      const last = (isFresh ? heard.get(key) : ctx.state.last.get(sender)) ?? 0;
      if (n !== last + 1) throw new Error(`${key} got ${n}, not ${last + 1}`);
      if (heard.get(key) !== (last || undefined)) throw new Error(`${key} has a second copy`);
      if (n % 2 === 0) await pause(ctx.node, n % 30);
      heard.set(key, n);
      ctx.state.last.set(sender, n);
      running.delete(ctx.id);
      if (isFresh) ctx.passivate();
      return n;
    },
  },
});

/** The entities of a round: some are always there, some come with this round or the last. */
function idsOf(round: number): string[] {
  const kept = Array.from({ length: KEPT }, (_, n) => `kept-${n}`);
  const fresh = [round, round - 1].flatMap((each) =>
    Array.from({ length: FRESH }, (_, n) => `fresh-${each}-${n}`),
  );
  return [...kept, ...fresh];
}

/** Sends from nodes that join, stay and leave; every answer beside its number. */
async function run(seed: number): Promise<readonly (readonly [unknown, number])[]> {
  const options = { network: NETWORK, entities: [List], heartbeat: "relaxed", seed } as const;
  await using cluster = await TestCluster.start({ ...options, nodes: 1 });
  const nodes = [cluster.node("n1")];
  const sent = new Map<string, number>();
  heard.clear();
  running.clear();
  pause = (node, ms) => cluster.sleep(node, ms);
  const answers: Promise<readonly [unknown, number]>[] = [];
  let left: Promise<void> | undefined;
  for (let round = 1; round <= ROUNDS; round++) {
    if (JOINS.includes(round)) nodes.push(await cluster.join(`n${round}`));
    for (const [sender, node] of nodes.entries()) {
      if (sender === 0 && round > LEAVES) continue;
      for (const id of idsOf(round).flatMap((each) => new Array<string>(BURST).fill(each))) {
        const n = (sent.get(`${sender}/${id}`) ?? 0) + 1;
        sent.set(`${sender}/${id}`, n);
        const answer = node.entity(List, id).send({ type: "add", sender, n }, { timeout: "5m" });
        answers.push(answer.then((value) => [value, n]));
      }
    }
    if (round === LEAVES) left = nodes[0]!.stop({ deadline: "1m" });
    await cluster.advance(9);
  }
  const all = await cluster.run(Promise.all(answers));
  await cluster.run(Promise.all([left, ...nodes.map((node) => node.stop({ deadline: "1m" }))]));
  return all;
}

test.each([1, 2, 3, 4, 5, 6])(
  "nothing is lost, doubled or reordered while entities move over a bad network (seed %d)",
  async (seed) => {
    const answers = await run(seed);
    const perRound = BURST * (KEPT + 2 * FRESH);
    expect(answers.length).toBe(perRound * (LEAVES + (ROUNDS - 1) + (ROUNDS - 4)));
    // Each handler has checked that its message was the next of its sender.
    expect(answers.filter(([value, n]) => value !== n)).toEqual([]);
  },
  60_000,
);
