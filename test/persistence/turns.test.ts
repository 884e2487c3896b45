/** What is stored is what whole turns did: one that a crash has cut off leaves nothing behind. */
import { describe, expect, test } from "bun:test";
import { command, defineEntity, query } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";

const { promise: never } = Promise.withResolvers<void>();

/** Entities that shall leave memory with something in them that cannot be stored. */
const spoils = new Set<string>();

/** A list; a turn that waits has changed its state before. */
function listOf(persistence: "write-through" | "write-behind") {
  return defineEntity("list", {
    messages: {
      add: command<{ item: string }, number>(),
      addSlowly: command<{ item: string; saves?: boolean; forever?: boolean }, number>(),
      rest: command(),
      spoil: command(),
      ring: command<{ item: string; in: string }>(),
      items: query<void, readonly string[]>(),
    },
    persistence,
    state: (): string[] => [],
    deactivated(ctx) {
      if (spoils.delete(ctx.id)) ctx.state.push((() => "no data") as never);
    },
    handlers: {
      add: ({ state }, { item }) => state.push(item),
      async addSlowly(ctx, { item, saves, forever }) {
        ctx.state.push(item);
        if (saves === true) await ctx.save();
        await (forever === true ? never : cluster?.sleep(ctx.node, "10s"));
        return ctx.state.length;
      },
      rest: (ctx) => ctx.passivate(),
      spoil: (ctx) => {
        spoils.add(ctx.id);
        ctx.passivate();
      },
      ring: (ctx, { item, in: after }) =>
        ctx.remind(item, { in: after as "1s" }, { type: "add", item }),
      items: ({ state }) => state,
    },
  });
}

let cluster: TestCluster<readonly [ReturnType<typeof listOf>]> | undefined;

async function start(persistence: "write-through" | "write-behind") {
  const options = { nodes: 1, shardCount: 4, heartbeat: "relaxed" } as const;
  const started = await TestCluster.start({ ...options, entities: [listOf(persistence)] });
  cluster = started;
  const list = (node: string) => started.node(node).entity("list", "a");
  const items = (node: string) => started.run(list(node).send({ type: "items" }));
  return { started, list, items };
}

/** Another node, after the first one has died. */
async function restart({ started }: Awaited<ReturnType<typeof start>>): Promise<void> {
  started.kill("n1");
  await started.join("n2");
  await started.advance("30s");
}

describe.each(["write-through", "write-behind"] as const)("with %s", (persistence) => {
  test("half a turn is not stored with those before it, and runs once under its key", async () => {
    const here = await start(persistence);
    await using _ = here.started;
    const list = here.list("n1");
    for (const item of ["a", "b", "c"]) list.send({ type: "add", item }).catch(() => {});
    const slow = { type: "addSlowly", item: "slow" } as const;
    const options = { idempotencyKey: "k", timeout: "1d" } as const;
    list.send({ ...slow, forever: true }, options).catch(() => {});
    await here.started.advance("5s");
    await restart(here);
    const length = await here.started.run(here.list("n2").send(slow, options));
    const items = await here.items("n2");
    expect(items.filter((item) => item === "slow")).toHaveLength(1);
    expect(items).toHaveLength(length);
  });

  test("turns that end while others wait are stored all the same", async () => {
    const here = await start(persistence);
    await using _ = here.started;
    const list = here.list("n1");
    const each = ["a", "b", "c", "d", "e", "f"];
    const sent = each.map((item) => list.send({ type: "addSlowly", item }, { timeout: "1d" }));
    await here.started.run(Promise.all(sent.slice(0, 5)));
    for (const one of sent) one.catch(() => {});
    await here.started.advance("3s");
    await restart(here);
    // The last one was under way, and nobody asked again.
    expect(await here.items("n2")).toEqual(["a", "b", "c", "d", "e"]);
  });

  test("who was answered need not wait for turns that are known to last", async () => {
    const here = await start(persistence);
    await using _ = here.started;
    const list = here.list("n1");
    await here.started.run(list.send({ type: "addSlowly", item: "a" }, { timeout: "1d" }));
    const quick = ["b", "c", "d"].map((item) => list.send({ type: "add", item }));
    const lasts = { type: "addSlowly", item: "e", forever: true } as const;
    list.send(lasts, { timeout: "1d" }).catch(() => {});
    expect(await here.started.run(Promise.all(quick))).toEqual([2, 3, 4]);
    await here.started.advance("100ms");
    await restart(here);
    expect(await here.items("n2")).toEqual(["a", "b", "c", "d"]);
  });

  test("an entity that cannot be stored when it leaves memory is served again", async () => {
    const here = await start(persistence);
    await using _ = here.started;
    const list = here.list("n1");
    await here.started.run(list.send({ type: "add", item: "a" }));
    await here.started.run(list.send({ type: "spoil" }));
    expect(await here.started.run(list.send({ type: "add", item: "b" }))).toBe(2);
  });

  test("what a turn asks for is stored in the middle of it", async () => {
    const here = await start(persistence);
    await using _ = here.started;
    const list = here.list("n1");
    list.send({ type: "add", item: "a" }).catch(() => {});
    const cutOff = { type: "addSlowly", item: "b", saves: true, forever: true } as const;
    list.send(cutOff, { timeout: "1d" }).catch(() => {});
    await here.started.advance("100ms");
    await restart(here);
    expect(await here.items("n2")).toEqual(["a", "b"]);
  });

  test("a reminder that waits while its entity leaves memory comes once", async () => {
    const here = await start(persistence);
    await using _ = here.started;
    const list = here.list("n1");
    await here.started.run(list.send({ type: "ring", item: "bell", in: "5s" }));
    const slow = list.send({ type: "addSlowly", item: "slow" }, { timeout: "1d" });
    const rest = list.send({ type: "rest" }, { timeout: "1d" });
    await here.started.advance("1m");
    await Promise.all([slow, rest]);
    expect(await here.items("n1")).toEqual(["slow", "bell"]);
  });
});
