/**
 * Lists whose state is kept, in simulated time under faults of nodes, authority and store, as their
 * callers see them: linearizable. With a store that compares nothing some of these seeds fail.
 */
import { expect, test } from "bun:test";
import { command, defineEntity, query } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { World } from "../../src/testing/world.ts";
import { Recorder } from "./history.ts";
import { appendList, type ListInput, type ListOutput } from "./objects.ts";
import { checkAll } from "./report.ts";

const List = defineEntity("list", {
  messages: { append: command<{ line: string }, number>(), read: query<void, readonly string[]>() },
  persistence: "write-through",
  state: (): string[] => [],
  handlers: {
    append: ({ state }, { line }) => state.push(line),
    read: ({ state }) => [...state],
  },
});

const IDS = ["l0", "l1", "l2"];
const SEEDS = 30;
const ROUNDS = 25;
const CALLS = 6;
const MEND_MS = 5_000;

test("lists that are kept are linearizable, whatever fails", async () => {
  const answered = { all: 0 };
  for (let seed = 1; seed <= SEEDS; seed++) {
    const operations = await historyOf(seed);
    answered.all += operations.filter(({ outcome }) => outcome.kind === "ok").length;
    expect({ seed, wrong: checkAll(operations, appendList) }).toEqual({ seed, wrong: [] });
  }
  expect(answered.all).toBeGreaterThan(SEEDS * ROUNDS);
}, 120_000);

async function historyOf(seed: number) {
  await using cluster = await TestCluster.start({
    nodes: 3,
    entities: [List],
    shardCount: 32,
    seed,
  });
  await cluster.join("caller", { entities: [] });
  // Chance of its own: what callers do does not depend on what nodes draw.
  const chance = new World(seed);
  const draw = (below: number): number => Math.floor(chance.fraction() * below);
  const recorder = new Recorder<ListInput, ListOutput>(() => cluster.nowMs);
  const call = (id: string, input: ListInput): Promise<unknown> =>
    recorder.call({ entity: id, input }, () => {
      const list = cluster.node("caller").entity(List, id);
      if (input.type === "read") return list.send({ type: "read" }, { timeout: "2s" });
      return list.send({ type: "append", line: `${input.value}` }, { timeout: "2s" });
    });
  const calls: Promise<unknown>[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (let n = 0; n < CALLS; n++) {
      const value = `${round}.${n}`;
      const input: ListInput = draw(3) === 0 ? { type: "read" } : { type: "append", value };
      calls.push(call(IDS[draw(IDS.length)]!, input));
    }
    await disturb(cluster, draw, round);
    await cluster.advance(draw(300));
  }
  cluster.heal();
  cluster.store({});
  await cluster.advance(MEND_MS);
  for (const id of IDS) calls.push(call(id, { type: "read" }));
  await cluster.run(Promise.all(calls));
  return recorder.operations;
}

type Lists = TestCluster<readonly [typeof List]>;

async function disturb(
  cluster: Lists,
  draw: (below: number) => number,
  round: number,
): Promise<void> {
  const nodes = cluster.names.filter((name) => name !== "caller");
  const node = nodes[draw(nodes.length)]!;
  const pause = async (ms: number): Promise<void> => {
    cluster.pause(node);
    await cluster.advance(ms);
    cluster.resume(node);
  };
  switch (draw(9)) {
    case 0:
      return void (nodes.length > 2 && cluster.kill(node));
    case 1:
      return pause(draw(3_000));
    case 2:
      return cluster.partition([node], ["store"]);
    case 3:
      return cluster.store({ drop: 0.2, delay: [1, 1_500] });
    case 4:
      return cluster.isolate(node);
    case 5:
      cluster.heal();
      return cluster.store({});
    case 6:
      return void (await cluster.join(`late-${round}`));
    case 7:
      cluster.store({ delay: [500, 2_500] });
      return pause(100);
    default:
  }
}
