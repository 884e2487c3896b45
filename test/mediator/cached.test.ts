/** Cached queries in a cluster: who is asked, and what makes their answers old. */
import { describe, expect, test } from "bun:test";
import {
  defineCommand,
  defineEntity,
  defineEvent,
  defineQuery,
  handler,
  invalidate,
} from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { failureOf } from "../drivers/nodes.ts";
import { eachAnew, get, GetAll, GetShared, GetSold, HANDLERS, type Item } from "./prices.ts";
import { Discount, node, read, set, SetPrice, Sold, start, world } from "./prices.ts";

eachAnew();

describe("a cached answer", () => {
  test("is asked for once on each node, until it is changed from anywhere", async () => {
    await start();
    for (let n = 0; n < 9; n++) expect(await get(`n${1 + (n % 3)}`)).toBe(0);
    expect(world.asked).toBe(3);
    for (const [index, name] of world.cluster.names.entries()) {
      await set(name, index + 1);
      expect(await get(name)).toBe(index + 1);
      await world.cluster.advance("20ms");
      for (const other of world.cluster.names) expect(await get(other)).toBe(index + 1);
    }
    expect(world.asked).toBe(12);
  });

  test("is kept where an event makes it old that somebody there has subscribed to", async () => {
    const subscribed = [...HANDLERS, handler(Sold, () => {})];
    world.cluster = await TestCluster.start({ entities: [], handlers: subscribed });
    await get("n1", GetSold);
    await world.cluster.advance("10s");
    await get("n1", GetSold);
    world.asked = 0;
    await get("n1", GetSold);
    expect(world.asked).toBe(0);
    await world.cluster.run(node("n2").publish(Sold({ id: "lamp" })));
    await world.cluster.advance("20ms");
    await get("n1", GetSold);
    expect(world.asked).toBe(1);
  });
});

describe("answers of a node", () => {
  test("are left alone by a command that was refused, and has changed nothing", async () => {
    const Checked = defineCommand<{ id: string }>("cached.checked", {
      input: {
        "~standard": {
          version: 1,
          vendor: "test",
          validate: (value) =>
            (value as Item).id === "bad"
              ? { issues: [{ message: "is bad" }] }
              : { value: value as Item },
        },
      },
    });
    const Get = defineQuery<Item, number>("cached.of-checked", {
      cache: { ttl: "1h", invalidatedBy: [Checked] },
    });
    const handlers = [
      handler(Checked, () => {}),
      handler(Get, ({ id }, ctx) => read(id, ctx.node)),
    ];
    await start({ handlers: [...HANDLERS, ...handlers] });
    await get("n1", Get);
    await world.cluster.advance("50ms");
    await get("n1", Get);
    world.asked = 0;
    const change = (id: string): Promise<void> => node("n2").send(Checked({ id }), { retries: 0 });
    expect(await world.cluster.run(failureOf(change("bad")))).toMatchObject({
      code: "INVALID_PAYLOAD",
    });
    await world.cluster.advance("20ms");
    await get("n1", Get);
    expect(world.asked).toBe(0);
    await world.cluster.run(change("good"));
    await world.cluster.advance("20ms");
    await get("n1", Get);
    expect(world.asked).toBe(1);
  });

  test("are old where a command ended between two seats of its node", async () => {
    let wrote!: () => void;
    const written = new Promise<void>((resolve) => (wrote = resolve));
    const SetLate = defineCommand<{ price: number }>("cached.set-late");
    const GetLate = defineQuery<Item, number>("cached.get-late", {
      cache: { ttl: "1h", invalidatedBy: [SetLate] },
    });
    const change = handler(SetLate, async ({ price }, ctx) => {
      await world.cluster.sleep(ctx.node, "3s");
      world.prices.set("lamp", price);
      wrote();
    });
    const answer = handler(GetLate, ({ id }, ctx) => read(id, ctx.node));
    await start({ handlers: [...HANDLERS, answer] });
    await world.cluster.join("late", { handlers: [change] });
    await get("n1", GetLate);
    await world.cluster.advance("50ms");
    const sent = failureOf(node("n1").send(SetLate({ price: 9 }), { retries: 0 }));
    await world.cluster.advance("50ms");
    // Cut off, it is declared dead while its handler runs, and cannot come back before that ends.
    world.cluster.isolate("late");
    expect(await world.cluster.run(sent)).toMatchObject({ code: "OUTCOME_UNKNOWN" });
    expect(await get("n1", GetLate)).toBe(0);
    await world.cluster.run(written);
    world.cluster.heal();
    await world.cluster.advance("10s");
    expect(await get("n1", GetLate)).toBe(9);
  });
});

describe("an answer of before", () => {
  test("is not told once the node has died that changed it, and could not say so", async () => {
    const SetDying = defineCommand<Item>("cached.set-dying");
    const GetDying = defineQuery<Item, number>("cached.get-dying", {
      cache: { ttl: "1h", invalidatedBy: [SetDying] },
    });
    const change = handler(SetDying, async ({ id }, ctx) => {
      world.prices.set(id, 5);
      await world.cluster.sleep(ctx.node, "10s");
    });
    const answer = handler(GetDying, ({ id }, ctx) => read(id, ctx.node));
    await start({ handlers: [...HANDLERS, answer] });
    await world.cluster.join("late", { handlers: [change] });
    for (let n = 0; n < 2; n++) {
      await get("n1", GetDying);
      await world.cluster.advance("50ms");
    }
    const sent = failureOf(node("n3").send(SetDying({ id: "lamp" }), { retries: 0 }));
    await world.cluster.advance("50ms");
    // Nobody can know yet.
    expect(await get("n1", GetDying)).toBe(0);
    await world.cluster.run(node("late").stop({ deadline: 10 }));
    expect(await world.cluster.run(sent)).toMatchObject({ code: "OUTCOME_UNKNOWN" });
    expect(await get("n1", GetDying)).toBe(5);
  });

  test("is not told by a node that others took for dead, and that comes back", async () => {
    await start();
    for (const name of world.cluster.names) await get(name);
    world.cluster.isolate("n1");
    world.cluster.partition(["n1"], ["n2", "n3"]);
    await world.cluster.advance("5s");
    await set("n2", 5);
    world.cluster.heal();
    await world.cluster.advance("10s");
    expect(await get("n1")).toBe(5);
  });
});

describe("answers that are kept for all nodes", () => {
  test.each([
    ["with a key", GetShared],
    ["by the whole payload", GetAll],
  ])("%s are asked for once, and are never older than the asker's own change", async (_, def) => {
    await start();
    for (let n = 0; n < 9; n++) expect(await get(`n${1 + (n % 3)}`, def)).toBe(0);
    expect(world.asked).toBe(1);
    for (let n = 1; n <= 30; n++) {
      const name = `n${1 + (n % 3)}`;
      await set(name, n);
      expect(await get(name, def)).toBe(n);
      // So that the next change finds something kept.
      await get(`n${1 + ((n + 1) % 3)}`, def);
    }
  });
});

describe("commands of an entity", () => {
  const Book = defineCommand<{ id: string; seats: number }, number>("cached.book");
  const Cancelled = defineEvent<Item>("cached.cancelled", { key: "id" });
  const Seats = defineQuery<Item, number>("cached.seats");
  const Flight = defineEntity("cached-flight", {
    messages: { "cached.book": Book, "cached.cancelled": Cancelled, "cached.seats": Seats },
    state: () => ({ seats: 0 }),
    handlers: {
      "cached.book": ({ state }, { seats }) => (state.seats += seats),
      "cached.cancelled": ({ state }) => void (state.seats = 0),
      "cached.seats": ({ state }) => (world.asked++, state.seats),
    },
  });
  const route = { strategy: "entity", entity: Flight, key: "id" } as const;
  const BookIt = defineCommand<{ id: string; seats: number }, number>("cached.book", { route });
  const SeatsOf = defineQuery<Item, number>("cached.seats", {
    route,
    cache: { ttl: "1h", key: "id", invalidatedBy: [invalidate(BookIt, "id"), Cancelled] },
  });

  const seats = (name: string): Promise<number> =>
    world.cluster.run(node(name).send(SeatsOf({ id: "lx1" })));

  test("make answers old however they are sent, and so do events that come to it", async () => {
    await start({ entities: [Flight] });
    for (const name of world.cluster.names) await seats(name);
    await world.cluster.advance("100ms");
    for (const name of world.cluster.names) await seats(name);
    world.asked = 0;
    for (const name of world.cluster.names) expect(await seats(name)).toBe(0);
    expect(world.asked).toBe(0);
    await world.cluster.run(node("n1").send(BookIt({ id: "lx1", seats: 2 })));
    expect(await seats("n1")).toBe(2);
    const flight = node("n2").entity(Flight, "lx1");
    await world.cluster.run(flight.send({ type: "cached.book", id: "lx1", seats: 3 }));
    expect(await seats("n2")).toBe(5);
    await world.cluster.advance("50ms");
    for (const name of world.cluster.names) expect(await seats(name)).toBe(5);
    await world.cluster.run(node("n3").publish(Cancelled({ id: "lx1" })));
    // Asked before the event has come to the entity, and so before it has changed anything.
    for (const name of world.cluster.names) await seats(name);
    await world.cluster.advance("50ms");
    for (const name of world.cluster.names) expect(await seats(name)).toBe(0);
  });

  test("hears of an event again when an entity has dealt with it", async () => {
    await start({ entities: [Flight] });
    await world.cluster.run(node("n1").send(BookIt({ id: "lx1", seats: 2 })));
    await world.cluster.advance("100ms");
    const owner = node("n1").owner("cached-flight", "lx1")!.node;
    const [from, asker] = world.cluster.names.filter((name) => name !== owner) as [string, string];
    await seats(asker);
    await world.cluster.advance("100ms");
    expect(await seats(asker)).toBe(2);
    // The event comes to the one who asks, and for a while not to the entity.
    world.cluster.partition([from], [owner]);
    await world.cluster.run(node(from).publish(Cancelled({ id: "lx1" })));
    await world.cluster.advance("20ms");
    expect(await seats(asker)).toBe(2);
    world.cluster.heal();
    await world.cluster.advance("500ms");
    expect(await seats(asker)).toBe(0);
  });
});

const STORM = 100_000;
const LANES = 1_000;

test.each([
  ["with keys", SetPrice, 200],
  ["without", Discount, 10],
])(
  "a storm of commands %s leaves little behind, and nothing old",
  async (_, def, bytesMax) => {
    // They run where they are sent, so that all that travels is what is told.
    const here = { strategy: "localFirst" } as const;
    const Change = defineCommand<{ id: string; price: number; percent: number }, unknown>(
      def.type,
      {
        route: here,
      },
    );
    await start();
    world.prices.set("lamp", 1);
    for (let n = 0; n < 2; n++) for (const name of world.cluster.names) await get(name);
    const before = world.cluster.traffic.frameBytes;
    for (let sent = 0; sent < STORM; sent += LANES) {
      const calls = Array.from({ length: LANES }, (_one, n) => {
        return node("n1").send(Change({ id: `item-${n}`, price: n, percent: 1 }));
      });
      await world.cluster.run(Promise.all(calls));
    }
    await world.cluster.run(node("n1").send(Change({ id: "lamp", price: 7, percent: 1 })));
    expect(world.asked).toBeLessThan(10);
    await world.cluster.advance("100ms");
    // To two nodes.
    const bytes = (world.cluster.traffic.frameBytes - before) / STORM / 2;
    expect(bytes).toBeLessThan(bytesMax);
    const last = world.prices.get("lamp") ?? 0;
    for (const name of world.cluster.names) expect(await get(name)).toBe(last);
  },
  60_000,
);
