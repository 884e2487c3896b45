/** Cached queries in a cluster: what becomes of those who wait, and of what cannot be kept. */
import { describe, expect, test } from "bun:test";
import { Cluster, command, defineEntity, defineQuery, handler } from "../../src/index.ts";
import { failureOf } from "../drivers/nodes.ts";
import { eachAnew, get, GetAll, GetPrice, GetShared, GetSold } from "./prices.ts";
import { HANDLERS, type Item, node, read, start, world } from "./prices.ts";

eachAnew();

test("a loop of cached answers leaves the event loop to others", async () => {
  const Kept = defineQuery<Item, number>("cached.loop", { cache: { ttl: "1h", key: "id" } });
  const options = { transport: "memory", handlers: [handler(Kept, () => 1)] } as const;
  await using alone = await Cluster.start(options);
  const timer = { isOver: false };
  setTimeout(() => (timer.isOver = true), 0);
  let sent = 0;
  for (; !timer.isOver && sent < 3_000_000; sent++) await alone.send(Kept({ id: "a" }));
  expect(timer.isOver).toBe(true);
});

describe("those who wait for one answer", () => {
  test.each([
    ["here", GetPrice],
    ["at its owner", GetShared],
  ])("each have a patience of their own: %s", async (_, def) => {
    await start();
    world.delayMs = 400;
    const ask = (timeout: string) => node("n1").send(def({ id: "lamp" }), { timeout } as never);
    const [hasty, usual, patient] = [ask("100ms"), ask("1s"), ask("30s")];
    expect(await world.cluster.run(failureOf(hasty))).toMatchObject({ code: "CALL_TIMEOUT" });
    expect(await world.cluster.run(Promise.all([usual, patient]))).toEqual([0, 0]);
    world.delayMs = 10_000;
    expect(await world.cluster.run(node("n2").send(def({ id: "chair" }), { timeout: "30s" }))).toBe(
      0,
    );
  });

  test("are not cancelled with each other", async () => {
    await start();
    world.delayMs = 400;
    const aborter = new AbortController();
    const { signal } = aborter;
    const one = node("n1").send(GetPrice({ id: "lamp" }), { signal });
    const other = node("n1").send(GetPrice({ id: "lamp" }));
    aborter.abort();
    expect(await world.cluster.run(failureOf(one))).toMatchObject({ code: "CANCELLED" });
    expect(await world.cluster.run(other)).toBe(0);
    expect(world.asked).toBe(1);
  });

  test("may be more than handlers run at once", async () => {
    const Slow = defineQuery<Item, number>("cached.slow", {
      concurrency: 1,
      cache: { ttl: "1h", key: "id", scope: "cluster" },
    });
    await start({ handlers: [...HANDLERS, handler(Slow, ({ id }, ctx) => read(id, ctx.node))] });
    world.delayMs = 100;
    const calls = world.cluster.names.flatMap((name) =>
      Array.from({ length: 20 }, () => node(name).send(Slow({ id: "lamp" }), { retries: 0 })),
    );
    expect(await world.cluster.run(Promise.all(calls))).toEqual(calls.map(() => 0));
    expect(world.asked).toBe(1);
  });
});

describe("a turn that waits for a cached answer", () => {
  test.each(["local", "cluster"] as const)(
    "does not wait for another one's, which may wait for it: %s",
    async (scope) => {
      // What is asked calls the entity whose turn asks.
      const Account = defineEntity("cached-account", {
        messages: { check: command<void, number>(), touch: command<void, number>() },
        state: () => ({}),
        handlers: {
          async check(ctx) {
            await world.cluster.sleep(ctx.node, "50ms");
            return ctx.send(Total({ id: "lamp" })).catch(() => -1);
          },
          touch: () => 7,
        },
      });
      const cache = { ttl: "1h", key: "id", scope } as const;
      const Total = defineQuery<Item, number>("cached.total", { cache });
      const add = handler(Total, async (_, ctx) => {
        await world.cluster.sleep(ctx.node, "100ms");
        return ctx.entity(Account, "a").send({ type: "touch" });
      });
      await start({ entities: [Account], handlers: [...HANDLERS, add], nodes: 1 });
      const begunMs = world.cluster.nowMs;
      const check = node("n1").entity(Account, "a").send({ type: "check" });
      const outside = node("n1").send(Total({ id: "lamp" }), { retries: 0 });
      // It is called back by what it asks for, and told so at once.
      expect(await world.cluster.run(check)).toBe(-1);
      expect(await world.cluster.run(outside)).toBe(7);
      expect(world.cluster.nowMs - begunMs).toBeLessThan(1_000);
    },
  );
});

const Odd = defineQuery<{ id?: string; text?: unknown }, unknown>("cached.odd", {
  cache: { ttl: "1h", key: ({ id }) => id as string, scope: "cluster" },
});
const OddHere = defineQuery<{ id?: string; text?: unknown }, unknown>("cached.odd-here", {
  cache: { ttl: "1h", scope: "local" },
  fallback: () => "instead",
});
const odd = (): unknown => {
  world.asked++;
  if (world.asked === 1) throw new Error("not today");
  return world.asked === 2 ? new Map() : world.asked === 3 ? "x".repeat(2_000_000) : "good";
};
const handlers = [...HANDLERS, handler(Odd, odd), handler(OddHere, odd)];
const ask = (def: typeof Odd): Promise<unknown> =>
  node("n1").send(def({ id: "a" }), { retries: 0 });

describe("what cannot be kept", () => {
  test("is no answer: it fails as without a cache, and the next one asks again", async () => {
    await start({ handlers });
    for (const code of ["HANDLER_FAILED", "REPLY_NOT_ENCODABLE", "REPLY_TOO_LARGE"]) {
      expect(await world.cluster.run(failureOf(ask(Odd)))).toMatchObject({ code });
    }
    expect([
      await world.cluster.run(ask(Odd)),
      await world.cluster.run(ask(Odd)),
      world.asked,
    ]).toEqual(["good", "good", 4]);
  });

  test("is replaced by a fallback that is not kept", async () => {
    await start({ handlers });
    for (const answer of ["instead", "instead", "instead", "good", "good"]) {
      expect(await world.cluster.run(ask(OddHere))).toBe(answer);
    }
    expect(world.asked).toBe(4);
  });

  test("is a question without a key, or one that cannot travel", async () => {
    await start({ handlers });
    const failures = [
      node("n1").send(Odd({})),
      node("n1").send(GetPrice({} as Item)),
      node("n1").send(GetAll({ id: new Map() } as never)),
      node("n1").send(GetSold({ id: "x".repeat(2_000_000) })),
    ].map((call) => world.cluster.run(failureOf(call)));
    const codes = ["INVALID_KEY", "INVALID_KEY", "PAYLOAD_NOT_ENCODABLE", "TOO_LARGE"];
    expect((await Promise.all(failures)).map((error) => (error as { code?: string }).code)).toEqual(
      codes,
    );
  });

  test("is asked of a node that has stopped", async () => {
    await start();
    await get("n1");
    const stopped = node("n1");
    await world.cluster.leave("n1");
    const failure = await failureOf(stopped.send(GetPrice({ id: "lamp" })));
    expect(failure).toMatchObject({ code: "CLUSTER_STOPPED" });
  });
});
