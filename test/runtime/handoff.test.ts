/** Entities that move with their shards: real nodes in simulated time. */
import { describe, expect, test } from "bun:test";
import { command, defineEntity, query } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";

const IDS = Array.from({ length: 24 }, (_, n) => `e-${n}`);

interface State {
  count: number;
  readonly names: Set<string>;
  readonly sizes: Map<string, bigint>;
  readonly since: Date;
  readonly bytes: Uint8Array;
  odd?: unknown;
}

/** What hooks and handlers saw, in order. */
const seen: string[] = [];
/** What was reported as an error. */
const errors: string[] = [];
/** Ends the turn of `wait` in an entity. */
const release = new Map<string, () => void>();

const Box = defineEntity("box", {
  messages: {
    add: command<{ n: number }, number>(),
    wait: command<void, number>(),
    later: command<{ ms: number }>(),
    spoil: command(),
    look: query<void, { count: number; kept: readonly string[]; node: string; fence: string }>(),
  },
  state: (): State => ({
    count: 0,
    names: new Set(["a"]),
    sizes: new Map([["a", 10n ** 20n]]),
    since: new Date(5),
    bytes: Uint8Array.of(1, 2),
  }),
  activated: (ctx) => void seen.push(`${ctx.id} in ${ctx.node}`),
  deactivated: (ctx, reason) => void seen.push(`${ctx.id} out ${ctx.node} ${reason}`),
  handlers: {
    add: (ctx, { n }) => (ctx.state.count += n),
    async wait(ctx) {
      await new Promise<void>((resolve) => release.set(ctx.id, resolve));
      return ++ctx.state.count;
    },
    later: (ctx, { ms }) => void ctx.after(ms, { type: "add", n: 100 }),
    spoil: (ctx) => void (ctx.state.odd = () => 1),
    look(ctx) {
      const { count, names, sizes, since, bytes } = ctx.state;
      const kept = [...names, String(sizes.get("a")), since.toISOString(), String(bytes.length)];
      const { fence } = ctx as unknown as { fence: string };
      return { count, kept, node: ctx.node, fence };
    },
  },
});

type Boxes = TestCluster<readonly [typeof Box]>;

/** One node, `n1`. */
async function start(): Promise<Boxes> {
  seen.length = 0;
  errors.length = 0;
  release.clear();
  const error = (_: object, message: string): void => void errors.push(message);
  const log = { debug() {}, info() {}, warn() {}, error };
  return TestCluster.start({ nodes: 1, entities: [Box], heartbeat: "relaxed", log });
}

/** An entity, as node `from` sees it. */
function look(cluster: Boxes, from: string, id: string): Promise<{ count: number; node: string }> {
  return cluster.node(from).entity(Box, id).send({ type: "look" });
}

/** Where the entities are, asked from node `from`. */
async function nodesOf(cluster: Boxes, from: string): Promise<string[]> {
  const looks = await cluster.run(Promise.all(IDS.map((id) => look(cluster, from, id))));
  return looks.map((each) => each.node);
}

describe("an entity that moves", () => {
  test("goes on with its state, its hooks run on both sides, and its fence rises", async () => {
    await using cluster = await start();
    const first = cluster.node("n1");
    for (const [n, id] of IDS.entries()) {
      await cluster.run(first.entity(Box, id).send({ type: "add", n }));
    }
    const before = await cluster.run(first.entity(Box, IDS[0]!).send({ type: "look" }));
    await cluster.join("n2");
    await cluster.advance(1_000);
    const nodes = await nodesOf(cluster, "n2");
    expect(new Set(nodes)).toEqual(new Set(["n1", "n2"]));
    for (const [n, id] of IDS.entries()) {
      const { count, kept, fence } = await cluster.run(
        first.entity(Box, id).send({ type: "look" }),
      );
      expect(count).toBe(n);
      expect(kept).toEqual(["a", "100000000000000000000", "1970-01-01T00:00:00.005Z", "2"]);
      expect(fence > before.fence).toBe(nodes[n] === "n2");
    }
    const moved = IDS.filter((_, n) => nodes[n] === "n2");
    for (const id of moved) {
      const path = seen.filter((line) => line.startsWith(`${id} `));
      expect(path).toEqual([`${id} in n1`, `${id} out n1 moved`, `${id} in n2`]);
    }
    expect(seen.filter((line) => line.includes("out")).length).toBe(moved.length);
  });

  test("is one of many, which together are more than a frame may hold", async () => {
    const Heavy = defineEntity("heavy", {
      messages: { look: query<void, number>() },
      state: () => "x".repeat(1_000_000),
      handlers: { look: (ctx) => ctx.state.length },
    });
    await using cluster = await TestCluster.start({ nodes: 1, entities: [Heavy], shardCount: 2 });
    const looks = (): Promise<number[]> =>
      Promise.all(IDS.map((id) => cluster.node("n1").entity(Heavy, id).send({ type: "look" })));
    await cluster.run(looks());
    await cluster.join("n2");
    await cluster.advance("5s");
    const owners = IDS.map((id) => cluster.node("n1").owner("heavy", id)?.node);
    expect(owners.filter((owner) => owner === "n2").length).toBeGreaterThan(9);
    expect(await cluster.run(looks())).toEqual(IDS.map(() => 1_000_000));
  });

  test("answers a caller that hears of its move before it hears of its new node", async () => {
    await using cluster = await start();
    await cluster.join("caller", { entities: [] });
    const caller = cluster.node("caller");
    const add = (id: string) => caller.entity(Box, id).send({ type: "add", n: 1 });
    await cluster.run(Promise.all(IDS.map(add)));
    // The old owner tells it where its messages belong; who that is, it cannot hear yet.
    cluster.isolate("caller");
    await cluster.join("n2");
    await cluster.advance(1_000);
    const sent = Promise.all(IDS.map(add));
    await cluster.advance(1_000);
    cluster.heal();
    expect(await cluster.run(sent)).toEqual(IDS.map(() => 2));
    expect(new Set(await nodesOf(cluster, "n1"))).toEqual(new Set(["n1", "n2"]));
  });

  test("whose answers died with the node it left: their outcome is unknown at once", async () => {
    await using cluster = await start();
    await cluster.join("caller", { entities: [] });
    const calls = IDS.map((id) =>
      cluster
        .node("caller")
        .entity(Box, id)
        .send({ type: "wait" }, { timeout: "1h" })
        .then(
          () => "answered",
          (error: { code: string }) => error.code,
        ),
    );
    await cluster.advance("1s");
    // They end, are answered to nobody, and part of them moves.
    cluster.partition(["n1"], ["caller"]);
    for (const end of release.values()) end();
    await cluster.join("n2");
    await cluster.advance("5s");
    const owners = IDS.map((id) => cluster.node("caller").owner("box", id)?.node);
    expect(new Set(owners)).toEqual(new Set(["n1", "n2"]));
    cluster.kill("n1");
    expect(await cluster.run(Promise.all(calls))).toEqual(IDS.map(() => "OUTCOME_UNKNOWN"));
    expect(cluster.nowMs).toBeLessThan(60_000);
  });

  test("brings its timers", async () => {
    await using cluster = await start();
    const first = cluster.node("n1");
    await cluster.run(
      Promise.all(IDS.map((id) => first.entity(Box, id).send({ type: "later", ms: 5_000 }))),
    );
    await cluster.join("n2");
    await cluster.advance(4_000);
    expect(new Set(await nodesOf(cluster, "n2")).size).toBe(2);
    for (const id of IDS) expect((await cluster.run(look(cluster, "n2", id))).count).toBe(0);
    await cluster.advance(2_000);
    for (const id of IDS) expect((await cluster.run(look(cluster, "n2", id))).count).toBe(100);
  });

  test("brings the messages that wait for it, whoever sent them, in their order", async () => {
    await using cluster = await start();
    const first = cluster.node("n1");
    const caller = await cluster.join("caller", { entities: [] });
    const answers: Promise<unknown>[] = [];
    for (const id of IDS) answers.push(first.entity(Box, id).send({ type: "wait" }));
    await cluster.advance(5);
    for (const node of [first, caller]) {
      for (const id of IDS) {
        answers.push(node.entity(Box, id).send({ type: "add", n: 1 }));
        answers.push(node.entity(Box, id).tell({ type: "add", n: 1 }));
      }
    }
    await cluster.advance(20);
    await cluster.join("n2");
    await cluster.advance(60);
    // The shards are sealed and wait; now the turns end.
    for (const end of release.values()) end();
    await cluster.run(Promise.all(answers));
    await cluster.advance(1_000);
    expect(new Set(await nodesOf(cluster, "n2")).size).toBe(2);
    for (const id of IDS) expect((await cluster.run(look(cluster, "caller", id))).count).toBe(5);
  });

  test("waits while it has a long turn, and so do none of its neighbours", async () => {
    await using cluster = await start();
    const first = cluster.node("n1");
    await cluster.run(Promise.all(IDS.map((id) => look(cluster, "n1", id))));
    const waits = IDS.map((id) => first.entity(Box, id).send({ type: "wait" }, { timeout: "1h" }));
    const second = await cluster.join("n2");
    await cluster.advance(5_000);
    expect(seen.filter((line) => line.includes("out"))).toEqual([]);
    const fresh = second.entity(Box, "neighbour").send({ type: "add", n: 1 });
    expect(await cluster.run(fresh)).toBe(1);
    for (const end of release.values()) end();
    expect(await cluster.run(Promise.all(waits))).toEqual(IDS.map(() => 1));
    await cluster.advance(1_000);
    expect(new Set(await nodesOf(cluster, "n2")).size).toBe(2);
  });

  test("stays when its state cannot travel, until its node leaves; that is reported", async () => {
    await using cluster = await start();
    const first = cluster.node("n1");
    await cluster.run(Promise.all(IDS.map((id) => first.entity(Box, id).send({ type: "spoil" }))));
    await cluster.join("n2");
    await cluster.advance(2_000);
    expect(new Set(await nodesOf(cluster, "n2"))).toEqual(new Set(["n1"]));
    expect(new Set(errors)).toEqual(
      new Set(["a shard stays: the state of an entity cannot travel"]),
    );
    errors.length = 0;
    await cluster.leave("n1");
    expect(new Set(await nodesOf(cluster, "n2"))).toEqual(new Set(["n2"]));
    expect(errors).toEqual(IDS.map(() => "an entity is lost: its state cannot travel"));
  });

  test("has its messages in their order when it cannot travel after all", async () => {
    const ran = new Map<string, number[]>(IDS.map((id) => [id, []]));
    const Slow = defineEntity("slow", {
      messages: { work: command<{ n: number }>() },
      // A function cannot travel.
      state: () => ({ odd: () => 1 }),
      handlers: {
        async work(ctx, { n }) {
          ran.get(ctx.id)!.push(n);
          await cluster.sleep(ctx.node, 30);
        },
      },
    });
    const options = { nodes: 1, shardCount: 256, entities: [Slow] } as const;
    await using cluster: TestCluster<readonly [typeof Slow]> = await TestCluster.start(options);
    const sent: Promise<void>[] = [];
    const send = async (n: number): Promise<void> => {
      for (const id of IDS) {
        const message = { type: "work", n } as const;
        sent.push(cluster.node("n1").entity(Slow, id).send(message, { timeout: "1h" }));
        await cluster.advance(1);
      }
    };
    for (let n = 0; n < 5; n++) await send(n);
    // It wants all shards, at whatever point of a turn they are.
    await cluster.join("n2", { weight: 100 });
    for (let n = 5; n < 25; n++) await send(n);
    await cluster.run(Promise.all(sent));
    for (const each of ran.values()) expect(each).toEqual(each.toSorted((a, b) => a - b));
  });

  test("goes with a node that leaves", async () => {
    await using cluster = await start();
    const first = cluster.node("n1");
    const second = await cluster.join("n2");
    await cluster.advance(1_000);
    await cluster.run(
      Promise.all(IDS.map((id) => first.entity(Box, id).send({ type: "add", n: 7 }))),
    );
    const stopped = first.stop();
    const during = IDS.map((id) => second.entity(Box, id).send({ type: "add", n: 1 }));
    expect(await cluster.run(Promise.all(during))).toEqual(IDS.map(() => 8));
    await cluster.run(stopped);
    expect(new Set(await nodesOf(cluster, "n2"))).toEqual(new Set(["n2"]));
    for (const id of IDS) expect((await cluster.run(look(cluster, "n2", id))).count).toBe(8);
  });
});
