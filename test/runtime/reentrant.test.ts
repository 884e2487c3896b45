/** Reentrant entities: calls of their own chain run beside the turn that waits for them. */
import { describe, expect, test } from "bun:test";
import { type CatgaError, command, defineEntity, query, type Ref } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { failureOf } from "../drivers/nodes.ts";

const messages = {
  /** Calls a guest, `times` at once, each of which sends `inner` back. */
  visit: command<{ inner: Inner; times?: number }, unknown[]>(),
  add: command<void, number>(),
  slow: command<void, number>(),
  fail: command(),
  look: query<void, readonly string[]>(),
  watch: query<{ inner: Inner }, unknown>(),
  unwaited: command<void, readonly string[]>(),
  keyed: command<void, number>(),
  leave: command<void, number>(),
  recurse: command<void, string>(),
  again: command<void, string>(),
  saving: command<void, number>(),
};
type Inner = "add" | "fail" | "look" | "slow" | "keyed";

/** What guests wait for before they call back. */
let opened: Promise<void> | undefined;
/** What nobody waits for. */
const sent: Promise<unknown>[] = [];

function house(persistence: "none" | "write-behind" | "write-through") {
  return defineEntity("house", {
    messages,
    persistence,
    reentrant: true,
    mailboxCapacity: 4,
    state: () => ({ log: [] as string[], count: 0 }),
    handlers: {
      async visit(ctx, { inner, times = 1 }) {
        ctx.state.log.push("begin");
        const calls = Array.from({ length: times }, (_, n) =>
          ctx.entity(Guest, `${n} of ${ctx.id}`).send({ type: "back", inner }),
        );
        ctx.state.log.push("sent");
        const found = await Promise.all(calls);
        ctx.state.log.push("end");
        return found;
      },
      add: (ctx) => (ctx.state.log.push("add"), ++ctx.state.count),
      async slow(ctx) {
        ctx.state.log.push("slow");
        for (let n = 0; n < 4; n++) await ctx.entity(Guest, "idle").send({ type: "nothing" });
        ctx.state.log.push("slower");
        return ++ctx.state.count;
      },
      fail(ctx) {
        ctx.state.log.push("fail");
        throw new Error("not today");
      },
      look: (ctx) => ctx.state.log,
      watch: (ctx, { inner }) => ctx.entity(Guest, `a of ${ctx.id}`).send({ type: "back", inner }),
      async unwaited(ctx) {
        sent.push(ctx.entity(Guest, `a of ${ctx.id}`).send({ type: "back", inner: "add" }));
        ctx.state.log.push("sent");
        await ctx.entity(Guest, "idle").send({ type: "nothing" });
        return ctx.state.log;
      },
      async keyed(ctx) {
        await ctx.entity(Guest, "idle").send({ type: "nothing" });
        return ++ctx.state.count;
      },
      again: (ctx) =>
        ctx
          .peer(ctx.id)
          .send({ type: "again" }, { idempotencyKey: "once" })
          .catch((error: CatgaError) => error.code),
      async saving(ctx) {
        ctx.state.count++;
        const inside = ctx.entity(Guest, `a of ${ctx.id}`).send({ type: "back", inner: "add" });
        await Promise.all([ctx.save(), inside, ctx.save()]);
        return ctx.state.count;
      },
      recurse(ctx) {
        ctx.state.count++;
        const inside = ctx.peer(ctx.id).send({ type: "recurse" });
        return inside.catch((error: CatgaError) => error.code);
      },
      async leave(ctx) {
        ctx.passivate();
        await ctx.entity(Guest, `a of ${ctx.id}`).send({ type: "back", inner: "add" });
        return ctx.state.count;
      },
    },
  });
}

const Guest = defineEntity("guest", {
  messages: { back: command<{ inner: Inner }, unknown>(), nothing: command() },
  state: () => ({}),
  handlers: {
    async back(ctx, { inner }) {
      await opened;
      const home = ctx.entity({ name: "house", messages }, ctx.id.split(" of ")[1]!);
      if (inner === "keyed") return home.send({ type: inner }, { idempotencyKey: "once" });
      return home.send({ type: inner });
    },
    nothing() {},
  },
});

type House = Ref<typeof messages>;

async function start(persistence: "none" | "write-behind" | "write-through", nodes = 3) {
  sent.length = 0;
  opened = undefined;
  const House = house(persistence);
  const entities = [House, Guest] as const;
  const cluster = await TestCluster.start({ nodes, entities, heartbeat: "relaxed" });
  await cluster.advance("1s");
  const at = (node: string, id = "1"): House => cluster.node(node).entity(House, id);
  return { cluster, House, at, [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose]() };
}

describe.each(["none", "write-behind", "write-through"] as const)("with %s", (persistence) => {
  test("a call of its own chain runs while the turn waits", async () => {
    await using world = await start(persistence);
    const { cluster, at } = world;
    expect(await cluster.run(at("n1").send({ type: "visit", inner: "add" }))).toEqual([1]);
    const log = await cluster.run(at("n2").send({ type: "look" }));
    expect(log).toEqual(["begin", "sent", "add", "end"]);
  });

  test("a query of its own chain sees what the turn has done so far", async () => {
    await using world = await start(persistence);
    const found = world.at("n1").send({ type: "visit", inner: "look" });
    expect(await world.cluster.run(found)).toEqual([["begin", "sent"]]);
  });

  test("commands of its own chain run beside each other at awaits", async () => {
    await using world = await start(persistence);
    const { cluster, at } = world;
    const visit = at("n1").send({ type: "visit", inner: "slow", times: 2 });
    expect(new Set(await cluster.run(visit))).toEqual(new Set([1, 2]));
    const log = await cluster.run(at("n1").send({ type: "look" }));
    expect(log).toEqual(["begin", "sent", "slow", "slow", "slower", "slower", "end"]);
  });

  test("a query that waits admits a command of its chain", async () => {
    await using world = await start(persistence);
    const { cluster, at } = world;
    expect(await cluster.run(at("n1").send({ type: "watch", inner: "add" }))).toBe(1);
    expect(await cluster.run(at("n1").send({ type: "look" }))).toEqual(["add"]);
  });

  test("a failure inside is the failure of that call alone", async () => {
    await using world = await start(persistence);
    const { cluster, at } = world;
    const failure = await failureOf(cluster.run(at("n1").send({ type: "visit", inner: "fail" })));
    expect((failure as CatgaError).code).toBe("HANDLER_FAILED");
    const log = await cluster.run(at("n1").send({ type: "look" }));
    expect(log).toEqual(["begin", "sent", "fail"]);
    expect(await cluster.run(at("n1").send({ type: "add" }))).toBe(1);
  });

  test("a key is answered once, inside and outside", async () => {
    await using world = await start(persistence);
    const { cluster, at } = world;
    const visit = at("n1").send({ type: "visit", inner: "keyed", times: 3 });
    expect(await cluster.run(visit)).toEqual([1, 1, 1]);
    const again = at("n2").send({ type: "keyed" }, { idempotencyKey: "once" });
    expect(await cluster.run(again)).toBe(1);
    expect(await cluster.run(at("n1").send({ type: "visit", inner: "keyed" }))).toEqual([1]);
  });

  test("a command that waits for itself under its key is a cycle", async () => {
    await using world = await start(persistence);
    const again = world.at("n1").send({ type: "again" }, { idempotencyKey: "once" });
    expect(await world.cluster.run(again)).toBe("CALL_CYCLE");
  });

  test("a turn that asked to leave memory still admits what it waits for", async () => {
    await using world = await start(persistence);
    expect(await world.cluster.run(world.at("n1").send({ type: "leave" }))).toBe(1);
  });

  test("entities move while such turns run, and nothing is lost", async () => {
    await using world = await start(persistence);
    const { cluster, at } = world;
    const ids = Array.from({ length: 40 }, (_, n) => `h-${n}`);
    const visits = ids.map((id) => at("n1", id).send({ type: "visit", inner: "slow", times: 2 }));
    await cluster.join("n4");
    const again = ids.map((id) => at("n2", id).send({ type: "visit", inner: "slow", times: 2 }));
    await cluster.leave("n3");
    const found = await cluster.run(Promise.all([...visits, ...again]));
    expect(new Set(found.flat())).toEqual(new Set([1, 2, 3, 4]));
    for (const id of ids) expect(await cluster.run(at("n1", id).send({ type: "add" }))).toBe(5);
  });
});

describe("a reentrant entity", () => {
  test("runs a call of its chain not before the turn awaits something", async () => {
    await using world = await start("none", 1);
    const { cluster, at } = world;
    await cluster.run(at("n1").send({ type: "unwaited" }));
    await cluster.run(Promise.all(sent));
    expect(await cluster.run(at("n1").send({ type: "look" }))).toEqual(["sent", "add"]);
  });

  test("keeps messages of others waiting, however full its mailbox is", async () => {
    await using world = await start("none");
    const { cluster, at } = world;
    const gate = Promise.withResolvers<void>();
    opened = gate.promise;
    const visit = at("n1").send({ type: "visit", inner: "slow" });
    await cluster.advance("1s");
    const others = Array.from({ length: 4 }, () => at("n1").send({ type: "add" }));
    await cluster.advance("1s");
    gate.resolve();
    expect(await cluster.run(visit)).toEqual([1]);
    expect(await cluster.run(Promise.all(others))).toEqual([2, 3, 4, 5]);
  });

  test("that calls itself without an end is stopped by the length of its chain", async () => {
    await using world = await start("none");
    const { cluster, at } = world;
    expect(await cluster.run(at("n1").send({ type: "recurse" }))).toBe("CHAIN_TOO_LONG");
    expect(await cluster.run(at("n1").send({ type: "add" }))).toBe(66);
  });

  test("stores what a turn has asked for, whatever ends inside it meanwhile", async () => {
    await using world = await start("write-through", 1);
    expect(await world.cluster.run(world.at("n1").send({ type: "saving" }))).toBe(2);
  });

  test("stores what its turn and the calls inside it did as one", async () => {
    await using world = await start("write-through");
    const { cluster, at, House } = world;
    await cluster.run(at("n1").send({ type: "visit", inner: "slow", times: 2 }));
    expect(cluster.stored(House, "1")?.version).toBe(1);
  });
});

test("what is no yes and no no is refused", () => {
  const options = { messages: {}, state: () => null, handlers: {} };
  expect(() => defineEntity("odd", { ...options, reentrant: 1 as never })).toThrow(
    'Cannot define "odd": reentrant must be true or false',
  );
});
