/**
 * Streams and channels over a link that loses, doubles and reorders frames, while shards move: the
 * real nodes in virtual time, with faults from a seed. A failure names the seed.
 */
import { expect, test } from "bun:test";
import { command, defineEntity } from "../../src/index.ts";
import { memory } from "../../src/drivers/memory/index.ts";
import type { Driver } from "../../src/ports/driver.ts";
import { startVirtual, VirtualClock } from "./virtual-node.ts";

const KEPT = 10;
const FRESH = 10;
const ROUNDS = 20;

/** A small generator (mulberry32, Tommy Ettinger): the same seed, the same run. */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The memory driver with a bad network: one frame in ten is lost, one doubled, all are delayed. */
function lossy(random: () => number): Driver {
  const inner = memory();
  return {
    name: "lossy",
    async connect(context) {
      const { authority, link } = await inner.connect(context);
      const send: typeof link.send = (to, frame) => {
        const copies = random() < 0.1 ? 0 : random() < 0.1 ? 2 : 1;
        for (let i = 0; i < copies; i++) {
          context.clock.after(random() * 30, () => link.send(to, frame));
        }
      };
      const open: typeof link.open = (self, listener) => link.open(self, listener);
      const forget: typeof link.forget = (gone) => link.forget(gone);
      return { authority, link: { open, send, forget, close: () => link.close() } };
    },
  };
}

/** What every entity has heard last of each sender, over all nodes: `id/sender` to number. */
const heard = new Map<string, number>();

const List = defineEntity("list", {
  messages: { add: command<{ sender: number; n: number }, number>() },
  state: () => ({}),
  handlers: {
    add(ctx, { sender, n }) {
      const key = `${ctx.id}/${sender}`;
      const expected = (heard.get(key) ?? 0) + 1;
      if (n !== expected) throw new Error(`${key} got ${n}, not ${expected}`);
      heard.set(key, n);
      // So that its shard is free to move, with the counters of the channels that end there.
      if (!ctx.id.startsWith("kept")) ctx.passivate();
      return n;
    },
  },
});

/** The entities of a round: some are always there, some come with this round or the last. */
function idsOf(round: number): string[] {
  const kept = Array.from({ length: KEPT }, (_, n) => `kept-${n}`);
  const fresh = Array.from({ length: FRESH }, (_, n) => [`${round}-${n}`, `${round - 1}-${n}`]);
  return [...kept, ...fresh.flat()];
}

/** Sends from three nodes, two of which join later; every answer beside its number. */
async function run(seed: number): Promise<readonly (readonly [unknown, number])[]> {
  const clock = new VirtualClock();
  const transport = lossy(chance(seed));
  const options = { clock, transport, entities: [List], heartbeat: "relaxed" } as const;
  const nodes = [await startVirtual({ ...options, nodeId: "n1" })];
  const sent = new Map<string, number>();
  heard.clear();
  const answers: Promise<readonly [unknown, number]>[] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    if (round === 2 || round === 5) {
      nodes.push(await startVirtual({ ...options, nodeId: `n${round}` }));
    }
    for (const [sender, node] of nodes.entries()) {
      for (const id of idsOf(round)) {
        const n = (sent.get(`${sender}/${id}`) ?? 0) + 1;
        sent.set(`${sender}/${id}`, n);
        const answer = node.entity(List, id).send({ type: "add", sender, n }, { timeout: "5m" });
        answers.push(answer.then((value) => [value, n]));
      }
    }
    await clock.advance(9);
  }
  const all = await clock.until(Promise.all(answers));
  await clock.until(Promise.all(nodes.map(({ node }) => node.stop(60_000))));
  return all;
}

test.each([1, 2, 3, 4, 5, 6])(
  "nothing is lost, doubled or reordered while shards move over a bad network (seed %d)",
  async (seed) => {
    const answers = await run(seed);
    const perRound = KEPT + 2 * FRESH;
    expect(answers.length).toBe(perRound * (ROUNDS + (ROUNDS - 1) + (ROUNDS - 4)));
    // Each handler has checked that its message was the next of its sender.
    expect(answers.filter(([value, n]) => value !== n)).toEqual([]);
  },
  60_000,
);
