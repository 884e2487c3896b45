/** What becomes of single calls of handlers, in simulated time. */
import { describe, expect, test } from "bun:test";
import { defineCommand, defineQuery, handler } from "../../src/index.ts";
import { failureOf } from "../drivers/nodes.ts";
import { clusterOf, endOf, Keyed, Look, Once, working } from "./sites.ts";

describe("a call", () => {
  test("ends at its deadline, all its tries together, with a key too", async () => {
    const forever = [Keyed, Once].map((def) =>
      handler(def as typeof Keyed, () => new Promise<string>(() => {})),
    );
    await using cluster = await clusterOf(1, forever);
    for (const message of [Keyed({ id: "a" }), Once({ id: "a" })]) {
      const beganMs = cluster.nowMs;
      const call = cluster.node("n1").send(message, { timeout: "1s" });
      const end = await endOf(cluster, call);
      expect(end).toMatchObject({ code: "CALL_TIMEOUT", executed: "maybe" });
      expect(cluster.nowMs - beganMs).toBeLessThan(1_100);
    }
    cluster.kill("n2");
  });

  test("may be cancelled while it waits for its next try", async () => {
    const full = handler(defineQuery<void, string>("nodes.full", { concurrency: 1 }), () => {
      return new Promise<string>(() => {});
    });
    const failover = { retryDelay: "1h" } as const;
    await using cluster = await clusterOf(1, [full], { failover });
    const caller = cluster.node("n1");
    const message = { type: "nodes.full" };
    const options = { timeout: "5h" } as const;
    const [first, controller] = [failureOf(caller.send(message, options)), new AbortController()];
    await cluster.advance(10);
    const { signal } = controller;
    const second = caller.send(message, { ...options, signal });
    await cluster.advance(10);
    controller.abort();
    expect(await endOf(cluster, second)).toMatchObject({ code: "CANCELLED", executed: "no" });
    expect(cluster.nowMs).toBeLessThan(5_000);
    cluster.kill("n2");
    expect(await cluster.run(first)).toMatchObject({ code: "OUTCOME_UNKNOWN" });
  });

  test("that a node has no room for goes to another one, whoever is preferred", async () => {
    const First = defineCommand<{ n: number }, string>("nodes.first", {
      route: { strategy: "custom", balancer: (candidates) => candidates[0]! },
      concurrency: 1,
    });
    const first = handler(First, async (_, { node }) => {
      await working(node, 50);
      return node;
    });
    await using cluster = await clusterOf(3, [first]);
    const calls = [1, 2, 3].map((n) => cluster.node("n1").send(First({ n })));
    expect(await cluster.run(Promise.all(calls))).toEqual(["n2", "n3", "n4"]);
    expect(cluster.nowMs).toBeLessThan(1_100);
  });

  test("that may only be local is tried again there, and not at once", async () => {
    const Here = defineQuery<void, string>("nodes.here", {
      route: { strategy: "localFirst", fallback: "fail" },
      concurrency: 1,
    });
    const run = handler(Here, async (_, { node }) => {
      await working(node, 70);
      return node;
    });
    await using cluster = await clusterOf(2, [run]);
    const calls = [1, 2].map(() => cluster.node("n2").send(Here()));
    expect(await cluster.run(Promise.all(calls))).toEqual(["n2", "n2"]);
  });
});

describe("a handler", () => {
  test("whose answer only behaves like a promise is asked for it once", async () => {
    for (const route of [
      { strategy: "random" },
      { strategy: "consistentHash", key: "id" },
    ] as const) {
      const Lazy = defineQuery<{ id: string }, number>("nodes.lazy", { route });
      let asked = 0;
      // As the builder of a query does, whose `then` sends it.
      const then = (answer: (value: number) => void): void => answer(++asked);
      await using cluster = await clusterOf(1, [handler(Lazy, () => like("then", then) as never)]);
      expect(await cluster.run(cluster.node("n1").send(Lazy({ id: "1" })))).toBe(1);
      expect(asked).toBe(1);
    }
  });

  test("of a node that may not act has so many calls wait for it, and no more", async () => {
    const Here = defineQuery<void, string>("nodes.waiting", {
      route: { strategy: "localFirst", fallback: "fail" },
    });
    await using cluster = await clusterOf(1, [handler(Here, (_, { node }) => node)]);
    // Nobody can declare anybody dead.
    cluster.isolate("n1", "n2");
    await cluster.advance("1s");
    const node = cluster.node("n2");
    const options = { retries: 0, timeout: "1h" } as const;
    const calls = Array.from({ length: 17_000 }, () => failureOf(node.send(Here(), options)));
    const told = Array.from({ length: 10 }, () => failureOf(node.tell(Here(), options)));
    cluster.heal();
    const refused = (await cluster.run(Promise.all(calls))).filter(
      (end) => typeof end !== "string",
    );
    expect(refused.length).toBe(17_000 - 16_384);
    const full = { code: "OVERLOADED", executed: "no", details: { limit: 16_384 } };
    expect(refused[0]).toMatchObject(full);
    for (const end of await cluster.run(Promise.all(told))) expect(end).toMatchObject(full);
  });
});

describe("a command with an idempotency key", () => {
  test("runs once in its window, wherever its key moves, and again after it", async () => {
    let runs = 0;
    const once = handler(Once, (_, { node }) => `${++runs} at ${node}`);
    await using cluster = await clusterOf(1, [once]);
    const caller = cluster.node("n1");
    const ids = Array.from({ length: 30 }, (_, n) => `id-${n}`);
    const all = (): Promise<string[]> =>
      cluster.run(Promise.all(ids.map((id) => caller.send(Once({ id })))));
    const first = await all();
    // An owner that has nothing to do forgets its keys, but not what it has answered.
    await cluster.advance("2m");
    expect(await all()).toEqual(first);
    await cluster.join("n3", { handlers: [once] });
    await cluster.advance("2m");
    expect(await all()).toEqual(first);
    await cluster.leave("n2");
    expect(await all()).toEqual(first);
    expect(runs).toBe(30);
    await cluster.advance("7m");
    expect(new Set((await all()).map((answer) => answer.split(" at ")[1]))).toEqual(
      new Set(["n3"]),
    );
    expect(runs).toBe(60);
  });
});

describe("a circuit", () => {
  test("opens when a node fails again and again, and closes when it is well", async () => {
    const failover = { circuitBreakerThreshold: 3, circuitHalfOpenAfter: "2s", maxRetries: 0 };
    const answer = handler(Look, (_, { node }) => node);
    const options = { failover: failover as never, heartbeat: "relaxed" } as const;
    await using cluster = await clusterOf(2, [answer], options);
    const caller = cluster.node("n1");
    const events: string[] = [];
    for (const name of ["circuit-opened", "circuit-closed"] as const) {
      caller.on(name, ({ node, message }) => events.push(`${name} ${node} ${message}`));
    }
    const call = (n: number): Promise<unknown> =>
      cluster.run(failureOf(caller.send(Look({ n }), { timeout: 100 })));
    cluster.partition(["n1"], ["n3"]);
    await inTurn(6, call);
    expect(events).toEqual(["circuit-opened n3 nodes.look"]);
    // One call at a time tries whether it is well.
    await cluster.advance("3s");
    const together = Array.from({ length: 20 }, (_, n) => call(n));
    const refused = (await Promise.all(together)).filter((end) => typeof end !== "string");
    expect(refused.length).toBe(1);
    // Everything goes elsewhere.
    expect(await inTurn(10, call)).toEqual(new Array(10).fill("no failure, but n2"));
    cluster.heal();
    await cluster.advance("5s");
    const after = await inTurn(10, call);
    expect(events).toEqual(["circuit-opened n3 nodes.look", "circuit-closed n3 nodes.look"]);
    expect(new Set(after)).toEqual(new Set(["no failure, but n2", "no failure, but n3"]));
  });
});

function like(method: string, run: unknown): object {
  return { [method]: run };
}

async function inTurn(calls: number, call: (n: number) => Promise<unknown>): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (let n = 0; n < calls; n++) answers.push(await call(n));
  return answers;
}
