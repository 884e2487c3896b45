/** Reminders, in simulated time: they outlive memory, nodes and clusters. */
import { describe, expect, test } from "bun:test";
import { silentLogger } from "../../src/base/logger.ts";
import { command, defineEntity, query } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";

const Clock = defineEntity("clock", {
  messages: {
    set: command<{ name: string; in?: string; every?: string }>(),
    forget: command<{ name: string }>(),
    rest: command(),
    ring: command<{ name: string }>(),
    rung: query<void, readonly string[]>(),
  },
  persistence: "write-through",
  idle: "1m",
  state: (): string[] => [],
  handlers: {
    set: (ctx, { name, in: after, every }) => {
      const when = every === undefined ? { in: after as "1s" } : { every: every as "1s" };
      return ctx.remind(name, when, { type: "ring", name });
    },
    forget: (ctx, { name }) => ctx.forget(name),
    rest: (ctx) => ctx.passivate(),
    ring: ({ state }, { name }) => void state.push(name),
    rung: ({ state }) => state,
  },
});

type Clocks = TestCluster<readonly [typeof Clock]>;

function start(nodes = 1, more: object = {}): Promise<Clocks> {
  const options = { shardCount: 16, heartbeat: "relaxed", ...more } as const;
  return TestCluster.start({ nodes, entities: [Clock], ...options });
}

function set(cluster: Clocks, id: string, message: object): Promise<void> {
  const [name] = cluster.names;
  const sent = cluster
    .node(name!)
    .entity(Clock, id)
    .send({ type: "set", ...message } as never);
  return cluster.run(sent as Promise<void>);
}

function rung(cluster: Clocks, id: string): Promise<readonly string[]> {
  const [name] = cluster.names;
  return cluster.run(cluster.node(name!).entity(Clock, id).send({ type: "rung" }));
}

describe("a reminder", () => {
  test("comes once at its time, whether or not its entity is in memory", async () => {
    await using cluster = await start();
    await set(cluster, "awake", { name: "a", in: "40s" });
    await set(cluster, "asleep", { name: "a", in: "10m" });
    await cluster.advance("39s");
    expect(await rung(cluster, "awake")).toEqual([]);
    await cluster.advance("2s");
    expect(await rung(cluster, "awake")).toEqual(["a"]);
    await cluster.advance("11m");
    expect(await rung(cluster, "asleep")).toEqual(["a"]);
    cluster.kill("n1");
    await cluster.join("n2");
    await cluster.advance("1h");
    expect(await rung(cluster, "asleep")).toEqual(["a"]);
    expect(await rung(cluster, "awake")).toEqual(["a"]);
  });

  test("comes in time to one that has just left memory, or whose node has died", async () => {
    await using cluster = await start(2, { heartbeat: "normal" });
    await cluster.advance("1s");
    const ids = Array.from({ length: 20 }, (_, n) => `t-${n}`);
    for (const id of ids) await set(cluster, id, { name: "rings", in: "20s" });
    const rest = (id: string) => cluster.node("n1").entity(Clock, id).send({ type: "rest" });
    await cluster.run(Promise.all(ids.map(rest)));
    await cluster.advance("10s");
    cluster.kill("n2");
    await cluster.advance("12s");
    // Who asked would wake it.
    for (const id of ids) expect(cluster.stored(Clock, id)?.dueMs).toBeUndefined();
  });

  test("comes again and again, in the place of another, until it is forgotten", async () => {
    await using cluster = await start();
    await set(cluster, "c", { name: "tick", in: "1s" });
    await set(cluster, "c", { name: "tick", every: "1h" });
    await cluster.advance("5h");
    await cluster.advance("1m");
    expect(await rung(cluster, "c")).toEqual(["tick", "tick", "tick", "tick", "tick"]);
    const forget = cluster.node("n1").entity(Clock, "c").send({ type: "forget", name: "tick" });
    await cluster.run(forget);
    await cluster.advance("5h");
    expect(await rung(cluster, "c")).toHaveLength(5);
  }, 60_000);

  test("that could not come has its missed ticks as one", async () => {
    await using cluster = await start();
    await set(cluster, "c", { name: "tick", every: "1m" });
    cluster.kill("n1");
    await cluster.advance("1h");
    await cluster.join("n2");
    await cluster.advance("40s");
    const first = await rung(cluster, "c");
    expect([1, 2]).toContain(first.length);
    await cluster.advance("10m");
    expect(await rung(cluster, "c")).toHaveLength(first.length + 10);
  });

  test("of many comes after all nodes have died, each once", async () => {
    await using cluster = await start(2);
    const ids = Array.from({ length: 10_000 }, (_, n) => `m-${n}`);
    const sent = ids.map((id) =>
      cluster.node("n1").entity(Clock, id).send({ type: "set", name: id, in: "20m" }),
    );
    await cluster.run(Promise.all(sent));
    for (const name of ["n1", "n2"]) cluster.kill(name);
    await cluster.advance("30m");
    await cluster.join("n3");
    await cluster.join("n4");
    await cluster.advance("5m");
    for (const id of ids) expect(await rung(cluster, id)).toEqual([id]);
  }, 60_000);

  test("is looked for again soon where the store could not be asked, said once", async () => {
    const said: string[] = [];
    const warn = (_: object, text: string) => void said.push(text);
    const log = { ...silentLogger, warn };
    await using cluster = await start(2, { heartbeat: "normal", log });
    await cluster.advance("1s");
    const ids = Array.from({ length: 20 }, (_, n) => `t-${n}`);
    for (const id of ids) await set(cluster, id, { name: "rings", in: "20s" });
    // The next look of all by itself comes at 30 s.
    await cluster.advance("7s");
    cluster.partition(["n1"], ["store"]);
    cluster.kill("n2");
    await cluster.advance("7s");
    cluster.heal();
    await cluster.advance("10s");
    for (const id of ids) expect(cluster.stored(Clock, id)?.dueMs).toBeUndefined();
    expect(said.filter((text) => text.startsWith("reminders"))).toHaveLength(1);
  });

  test("moves with its entity, and comes once while nodes come and go", async () => {
    await using cluster = await start(2);
    const ids = Array.from({ length: 60 }, (_, n) => `m-${n}`);
    for (const id of ids) await set(cluster, id, { name: id, in: "90s" });
    await cluster.join("n3");
    await cluster.advance("30s");
    await cluster.leave("n1");
    await cluster.advance("80s");
    for (const id of ids) expect(await rung(cluster, id)).toEqual([id]);
  });

  test("comes every day for thirty days", async () => {
    // Few renewals and one shard, or the simulation has too much to do.
    const heartbeat = { every: "10m", timeout: "40m" };
    await using cluster = await start(1, { heartbeat, shardCount: 1 });
    await set(cluster, "c", { name: "daily", every: "1d" });
    await cluster.advance("30d");
    await cluster.advance("1m");
    expect(await rung(cluster, "c")).toHaveLength(30);
  }, 60_000);
});
