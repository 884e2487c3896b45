/** Events that are for entities, and events that turns publish, in simulated time. */
import { describe, expect, test } from "bun:test";
import { command, defineEntity, defineEvent, isCatgaError, query } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { failureOf } from "../drivers/nodes.ts";

const Paid = defineEvent<{ order: string; n: number }>("orders.paid", { key: "order" });

const Order = defineEntity("order", {
  messages: {
    "orders.paid": Paid,
    paid: query<void, readonly number[]>(),
    pay: command<{ n: number }>(),
    payLate: command<{ n: number }>(),
  },
  state: () => ({ paid: [] as number[] }),
  handlers: {
    "orders.paid": ({ state }, { n }) => void state.paid.push(n),
    paid: ({ state }) => state.paid,
    pay: (ctx, { n }) => ctx.publish(Paid({ order: "1", n })),
    payLate: (ctx, { n }) => {
      hold(ctx.node);
      return ctx.publish(Paid({ order: "1", n }));
    },
  },
});
const entities = [Order] as const;
type Orders = TestCluster<typeof entities>;
/** Keeps the node of a turn from its loop. */
let hold: (node: string) => void = () => {};

/** Nodes that host orders, and one that only calls. */
async function start(seed: number = 1): Promise<Orders> {
  const cluster = await TestCluster.start({ nodes: 2, entities, shardCount: 16, seed });
  await cluster.join("caller", { entities: [] });
  await cluster.advance("2s");
  return cluster;
}
/** Why a node with this entity does not start. */
const refused = (entity: object): Promise<unknown> =>
  failureOf(TestCluster.start({ nodes: 1, entities: [entity as typeof Order] }));
async function code(publishing: Promise<void>): Promise<string | undefined> {
  const error = await failureOf(publishing);
  return isCatgaError(error) ? error.code : undefined;
}
const paidOf = (cluster: Orders, order: string): Promise<readonly number[]> =>
  cluster.run(cluster.node("caller").entity(Order, order).send({ type: "paid" }));

describe("an event that entities have among their messages", () => {
  test("comes to the one of its key, in order, from anywhere, wherever it lives", async () => {
    await using cluster = await start();
    const ids = Array.from({ length: 10 }, (_, n) => `${n}`);
    const homes = new Set(ids.map((id) => cluster.node("n1").owner("order", id)?.node));
    expect(homes.size).toBe(2);
    for (const publisher of ["n1", "caller"]) {
      for (let n = 1; n <= 20; n++) {
        for (const order of ids) await cluster.node(publisher).publish(Paid({ order, n }));
      }
      await cluster.advance("1s");
    }
    const all = Array.from({ length: 20 }, (_, n) => n + 1);
    for (const order of ids) expect(await paidOf(cluster, order)).toEqual([...all, ...all]);
  });

  test("comes once while its entity moves to another node", async () => {
    for (let seed = 1; seed <= 5; seed++) {
      await using cluster = await start(seed);
      cluster.network({ drop: 0.1, duplicate: 0.2, delay: [0, 20] });
      const joining = cluster.join("n3");
      for (let n = 1; n <= 100; n++) {
        await cluster.node("caller").publish(Paid({ order: "1", n }));
        await cluster.advance(20);
      }
      await cluster.run(joining);
      await cluster.advance("5s");
      const all = Array.from({ length: 100 }, (_, n) => n + 1);
      expect(await paidOf(cluster, "1")).toEqual(all);
    }
  });

  test("needs a key at its host and at its publisher, and its own name", async () => {
    const Keyless = defineEvent<{ order: string }>("orders.keyless");
    const handlers = { "orders.keyless": () => {} };
    const messages = { "orders.keyless": Keyless };
    const host = defineEntity("host", { messages, state: () => null, handlers });
    expect(String(await refused(host))).toMatch(/^TypeError: .*needs key/);
    const other = defineEntity("other", {
      messages: { paid: Paid },
      state: () => null,
      handlers: { paid: () => {} },
    });
    expect(String(await refused(other))).toMatch(/^TypeError: .*called like that/);

    await using cluster = await start();
    const node = cluster.node("caller");
    expect(await code(node.publish(Paid({ order: {} as never, n: 1 })))).toBe("INVALID_KEY");
    const NoKey = defineEvent<{ order: string; n: number }>("orders.paid");
    expect(await code(node.publish(NoKey({ order: "1", n: 1 })))).toBe("INVALID_KEY");
    // Of several definitions of one name the last one stands for messages of nobody.
    const again = defineEvent<{ order: string; n: number }>("orders.paid", { key: "order" });
    await node.publish(again({ order: "1", n: 7 }));
    await cluster.advance("50ms");
    expect(await paidOf(cluster, "1")).toEqual([7]);
  });
});

describe("a turn", () => {
  test("publishes", async () => {
    await using cluster = await start();
    const heard: number[] = [];
    cluster.node("caller").subscribe(Paid, ({ n }) => void heard.push(n));
    await cluster.advance("50ms");
    await cluster.run(cluster.node("caller").entity(Order, "2").send({ type: "pay", n: 3 }));
    await cluster.advance("50ms");
    expect(heard).toEqual([3]);
    expect(await paidOf(cluster, "1")).toEqual([3]);
  });

  test("whose lease ran out tells nobody, here or elsewhere", async () => {
    await using cluster = await start();
    const heard: string[] = [];
    for (const name of cluster.names) {
      cluster.node(name).subscribe(Paid, ({ n }) => void heard.push(`${name} ${n}`));
    }
    await cluster.advance("50ms");
    hold = (node) => cluster.block(node, "3s");
    const order = cluster.node("caller").entity(Order, "2");
    const late = failureOf(cluster.run(order.send({ type: "payLate", n: 1 })));
    await cluster.advance("10s");
    expect(await late).toMatchObject({ code: "OUTCOME_UNKNOWN" });
    expect(heard).toEqual([]);
    expect(await paidOf(cluster, "1")).toEqual([]);
    // It has joined again by now, and listens.
    await cluster.node("caller").publish(Paid({ order: "1", n: 2 }));
    await cluster.advance("50ms");
    expect(heard.toSorted()).toEqual(cluster.names.map((name) => `${name} 2`).toSorted());
  });
});
