/**
 * What is stored under every fault, in simulated time: each entity is a list that grows, and
 * an answer says at which place its caller's line stands. In the end every line that was answered
 * stands at that place, and no line stands there twice.
 */
import { describe, expect, test } from "bun:test";
import { command, defineEntity, query } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";

const List = defineEntity("list", {
  messages: { append: command<{ line: string }, number>(), read: query<void, readonly string[]>() },
  persistence: "write-through",
  state: (): string[] => [],
  handlers: {
    append: ({ state }, { line }) => state.push(line),
    read: ({ state }) => state,
  },
});

type Lists = TestCluster<readonly [typeof List]>;

const IDS = Array.from({ length: 8 }, (_, n) => `l-${n}`);
const ROUNDS = 12;

/** What became of each line: its place, or nothing while that is unknown. */
class Load {
  readonly places = new Map<string, number | undefined>();
  readonly refused = new Set<string>();
  readonly keyed = new Set<string>();
  answered = 0;
  readonly #cluster: Lists;
  #lines = 0;

  constructor(cluster: Lists) {
    this.#cluster = cluster;
  }

  send(): void {
    const line = `${this.#lines++}`;
    const id = idOf(line);
    const call = this.#cluster.node("caller").entity(List, id);
    this.places.set(line, undefined);
    // Every second one is sent again until it is answered, and stands once.
    const isKeyed = this.#lines % 2 === 0;
    const options = isKeyed
      ? ({ timeout: "1s", retries: 30 } as const)
      : ({ timeout: "3s" } as const);
    if (isKeyed) this.keyed.add(line);
    call.send({ type: "append", line }, options).then(
      (length) => {
        this.answered++;
        this.places.set(line, length - 1);
      },
      (error: { executed: string }) => {
        if (error.executed === "no") this.refused.add(line);
      },
    );
  }
}

function idOf(line: string): string {
  return IDS[Number(line) % IDS.length]!;
}

/** A number below `below`, from `seed` and `step` alone. */
function draw(seed: number, step: number, below: number): number {
  let mixed = Math.imul(seed * 7919 + step * 104_729 + 1, 0x9e3779b1);
  mixed ^= mixed >>> 15;
  mixed = Math.imul(mixed, 0x85ebca6b);
  return ((mixed ^ (mixed >>> 13)) >>> 0) % below;
}

/** One fault, or none; each ends by itself, or with {@link mend}. */
async function disturb(cluster: Lists, what: number, round: number): Promise<void> {
  const nodes = cluster.names.filter((name) => name !== "caller");
  const victim = nodes[what % nodes.length]!;
  switch (what % 7) {
    case 0:
      cluster.kill(victim);
      await cluster.join(`n${round + 10}`);
      return;
    case 1:
      cluster.pause(victim);
      await cluster.advance("1500ms");
      return cluster.resume(victim);
    case 2:
      cluster.isolate(victim);
      await cluster.advance("1500ms");
      return cluster.heal();
    case 3:
      cluster.partition([victim], ["store"]);
      await cluster.advance("500ms");
      return cluster.heal();
    case 4:
      return void (await cluster.join(`n${round + 10}`));
    case 5:
      return nodes.length > 2 ? cluster.leave(victim) : undefined;
  }
}

const PLANNED = [4, 5];

/** Runs one schedule; how many lines were sent and answered, and what went wrong. */
async function run(
  seed: number,
  isPlanned = false,
): Promise<{ sent: number; answered: number; wrong: string[] }> {
  await using cluster = await TestCluster.start({
    seed,
    nodes: 3,
    shardCount: 16,
    entities: [List],
  });
  await cluster.join("caller", { entities: [] });
  cluster.store(isPlanned ? { delay: [1, 100] } : { delay: [1, 400], drop: 0.05 });
  const load = new Load(cluster);
  for (let round = 0; round < ROUNDS; round++) {
    for (let n = 0; n < 12; n++) {
      load.send();
      await cluster.advance(10);
    }
    const what = draw(seed, round, 10_000);
    await disturb(cluster, isPlanned ? what - (what % 7) + PLANNED[what % 2]! : what, round);
  }
  cluster.heal();
  cluster.store({});
  await cluster.advance("10s");
  const wrong: string[] = [];
  for (const line of load.keyed) {
    if (load.places.get(line) === undefined) wrong.push(`${line} was sent again and not answered`);
  }
  for (const id of IDS) {
    const read = cluster.node("caller").entity(List, id).send({ type: "read" }, { retries: 20 });
    const lines = await cluster.run(read);
    if (new Set(lines).size !== lines.length) wrong.push(`${id}: a line stands twice`);
    for (const [line, place] of load.places) {
      if (idOf(line) !== id || place === undefined) continue;
      if (lines[place] !== line) wrong.push(`${id}: ${line} is not at ${place}`);
    }
    for (const line of lines) {
      if (load.refused.has(line)) wrong.push(`${id}: ${line} was refused and stands`);
    }
  }
  return { sent: load.places.size, answered: load.answered, wrong };
}

describe("entities with write-through, under faults", () => {
  test("lose no line that was answered, and have none twice", async () => {
    let answered = 0;
    for (let seed = 1; seed <= 30; seed++) {
      const found = await run(seed);
      expect({ seed, wrong: found.wrong }).toEqual({ seed, wrong: [] });
      answered += found.answered;
    }
    expect(answered).toBeGreaterThan(30 * 100);
  }, 120_000);

  test("answer every line while nodes come and go, and nothing else happens", async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { sent, answered, wrong } = await run(seed, true);
      expect({ seed, answered, wrong }).toEqual({ seed, answered: sent, wrong: [] });
    }
  }, 60_000);

  test("refuse what an owner wrote that is over, once its heir has answered (F2)", async () => {
    for (const hasRecord of [false, true]) {
      await using cluster = await TestCluster.start({ nodes: 2, shardCount: 16, entities: [List] });
      await cluster.join("caller", { entities: [] });
      await cluster.advance("1s");
      const caller = cluster.node("caller");
      const id = IDS.find((each) => caller.owner("list", each)?.node === "n1")!;
      const ref = caller.entity(List, id);
      const before = hasRecord ? ["first"] : [];
      for (const line of before) await cluster.run(ref.send({ type: "append", line }));
      expect(await cluster.run(ref.send({ type: "read" }))).toEqual(before);
      cluster.store({ delay: [3_000, 3_000] });
      const late = ref.send({ type: "append", line: "late" }).then(
        () => "answered",
        (error: { code: string }) => error.code,
      );
      await cluster.advance(100);
      cluster.kill("n1");
      cluster.store({});
      expect(await cluster.run(ref.send({ type: "read" }, { retries: 20 }))).toEqual(before);
      await cluster.advance("10s");
      expect(await late).toBe("OUTCOME_UNKNOWN");
      expect(cluster.stored(List, id)?.data ?? "").not.toContain("late");
      const next = ref.send({ type: "append", line: "next" });
      expect(await cluster.run(next)).toBe(before.length + 1);
    }
  });
});
