/** What an entity that is kept refuses, and how it says so. */
import { afterEach, describe, expect, test } from "bun:test";
import { memory } from "../../src/drivers/memory/index.ts";
import { memoryStore } from "../../src/drivers/memory/store.ts";
import { sqlite } from "../../src/drivers/sqlite/index.ts";
import { Cluster, type CatgaError, command, defineEntity, query } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { failureOf, stopAll, stopped } from "../drivers/nodes.ts";

afterEach(stopAll);

/** Holds anything. */
const Box = defineEntity("box", {
  messages: {
    nest: command<{ levels: number; as: "list" | "map" | "set" | "object" }>(),
    link: command<{ items: number }>(),
    levels: query<void, number>(),
    echo: command<{ text: string }, string>(),
    remind: command<{ when: object; name?: unknown }>(),
    afterDelete: command<{ what: "save" | "forget" | "delete" }>(),
  },
  persistence: "write-through",
  state: () => ({ value: 0 as unknown }),
  handlers: {
    nest({ state }, { levels, as }) {
      let value: unknown = 0;
      for (let n = 0; n < levels; n++) value = around(value, as);
      state.value = value;
    },
    /** A chain in which each knows all others is no deeper for it. */
    link({ state }, { items }) {
      const all: { others?: unknown }[] = Array.from({ length: items }, () => ({}));
      for (const each of all) each.others = all;
      state.value = all;
    },
    levels({ state }) {
      let levels = 0;
      let value: unknown = state.value;
      for (; typeof value === "object"; levels++) value = inside(value);
      return levels;
    },
    echo: (_, { text }) => text,
    remind: (ctx, { when, name = "r" }) =>
      ctx.remind(name as string, when as { in: "1s" }, { type: "echo", text: "" }),
    async afterDelete(ctx, { what }) {
      await ctx.delete();
      await ctx[what]("r");
    },
  },
});

function around(value: unknown, as: "list" | "map" | "set" | "object"): unknown {
  if (as === "list") return [value];
  if (as === "object") return { value };
  return as === "map" ? new Map([["value", value]]) : new Set([value]);
}

function inside(value: unknown): unknown {
  if (value instanceof Map || value instanceof Set) return [...value.values()][0];
  return Object.values(value as object)[0] as unknown;
}

describe("state that is nested", () => {
  const store = memoryStore();
  const start = () =>
    stopped(Cluster.start({ name: "nested", transport: memory(), store, entities: [Box] }));

  test.each(["list", "map", "set", "object"] as const)(
    "in a %s is read again whatever was stored, and refused where nobody could read it",
    async (as) => {
      const node = await start();
      const box = node.entity("box", as);
      await box.send({ type: "nest", levels: 450, as });
      for (const levels of [501, 1_600, 5_000]) {
        const error = await failureOf(box.send({ type: "nest", levels, as }));
        expect(error).toMatchObject({ code: "STATE_NOT_ENCODABLE" });
      }
      await node.stop();
      const again = await start();
      expect(await again.entity("box", as).send({ type: "levels" })).toBe(450);
    },
  );

  test("and has cycles is as deep as it is, not endless", async () => {
    const node = await start();
    const box = node.entity("box", "cycles");
    await box.send({ type: "link", items: 2_000 });
    await node.stop();
    const again = await start();
    await again.entity("box", "cycles").send({ type: "echo", text: "read" });
  });
});

describe("commands with a key", () => {
  test("are told what there is too much of", async () => {
    const transport = memory();
    const node = await stopped(Cluster.start({ transport, entities: [Box] }));
    const box = node.entity("box", "a");
    const text = "x".repeat(900_000);
    await box.send({ type: "echo", text }, { idempotencyKey: "1" });
    const second = box.send({ type: "echo", text }, { idempotencyKey: "2" });
    const { code, details } = (await failureOf(second)) as CatgaError;
    expect(code).toBe("OVERLOADED");
    const what = 'characters of answers to keyed commands of "box/a"';
    expect(details).toEqual({ what, limit: 4_194_304 });
  });

  test("that were told first are answered to who sends them again", async () => {
    const Plain = defineEntity("plain", {
      messages: { next: command<void, number>() },
      state: () => ({ n: 0 }),
      handlers: { next: ({ state }) => ++state.n },
    });
    const node = await stopped(Cluster.start({ transport: memory(), entities: [Plain] }));
    const plain = node.entity("plain", "a");
    await plain.tell({ type: "next" }, { idempotencyKey: "k" });
    expect(await plain.send({ type: "next" }, { idempotencyKey: "k" })).toBe(1);
  });
});

test("a reminder comes once or again and again, not both and not neither", async () => {
  await using cluster = await TestCluster.start({ nodes: 1, shardCount: 4, entities: [Box] });
  const box = cluster.node("n1").entity("box", "a");
  for (const when of [{}, { in: "1s", every: "1s" }]) {
    const error = await failureOf(cluster.run(box.send({ type: "remind", when })));
    expect(error).toMatchObject({ code: "HANDLER_FAILED", details: { name: "TypeError" } });
  }
});

test("a reminder has a name that can be told from others", async () => {
  await using cluster = await TestCluster.start({ nodes: 1, shardCount: 4, entities: [Box] });
  const box = cluster.node("n1").entity("box", "a");
  for (const name of ["", "x".repeat(257), 7]) {
    const error = await failureOf(
      cluster.run(box.send({ type: "remind", when: { in: "1h" }, name })),
    );
    expect(error).toMatchObject({ code: "HANDLER_FAILED", details: { name: "TypeError" } });
  }
  await cluster.run(box.send({ type: "remind", when: { in: "1h" }, name: "x".repeat(256) }));
});

test("a turn that has deleted its entity can store nothing of it", async () => {
  await using cluster = await TestCluster.start({ nodes: 1, shardCount: 4, entities: [Box] });
  const box = cluster.node("n1").entity("box", "a");
  for (const what of ["save", "forget", "delete"] as const) {
    const error = await failureOf(cluster.run(box.send({ type: "afterDelete", what })));
    const text = `Cannot ${what} "box/a": it was deleted`;
    expect(error).toMatchObject({ code: "HANDLER_FAILED", details: { text } });
  }
});

/** A number, of a version. */
function oldOf(version: number, migrate?: (old: unknown) => unknown) {
  return defineEntity("old", {
    messages: { get: query<void, number>(), set: command<{ n: number }>() },
    persistence: "write-through",
    version,
    ...(migrate !== undefined && { migrate: migrate as () => { n: number } }),
    state: () => ({ n: 0 }),
    handlers: { get: ({ state }) => state.n, set: ({ state }, { n }) => void (state.n = n) },
  });
}

test("a migration that returns a promise is refused, and nothing is overwritten", async () => {
  const store = memoryStore();
  const start = (entity: ReturnType<typeof oldOf>) =>
    stopped(Cluster.start({ name: "old", transport: memory(), store, entities: [entity] }));
  const first = await start(oldOf(1));
  await first.entity("old", "a").send({ type: "set", n: 7 });
  await first.stop();
  const second = await start(oldOf(2, (old) => Promise.resolve(old)));
  const error = await failureOf(second.entity("old", "a").send({ type: "get" }));
  expect(error).toMatchObject({ code: "ACTIVATION_FAILED", details: { name: "TypeError" } });
  await second.stop();
  expect(await (await start(oldOf(1))).entity("old", "a").send({ type: "get" })).toBe(7);
});

test("what is no store or no file is named in the error", async () => {
  const given = { entities: [Box], transport: memory(), store: "redis://host" as never };
  expect(await failureOf(Cluster.start(given))).toMatchObject({
    message: 'Cannot use store "redis://host": write sqlite(…), nats(…) or redis(…)',
  });
  const file = new URL("file:///tmp/a.db") as never;
  expect(() => sqlite({ file })).toThrow(/^Cannot use file "file:\/\/\/tmp\/a.db": write a path$/);
  const noFile = Cluster.start({ ...given, store: sqlite({ file: import.meta.dirname }) });
  const error = await failureOf(noFile);
  expect(error).toMatchObject({ details: { store: `SQLite at ${import.meta.dirname}` } });
});
