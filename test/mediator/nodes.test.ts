/** What becomes of calls of handlers when nodes leave, die, stop or refuse, in simulated time. */
import { describe, expect, test } from "bun:test";
import {
  type CatgaError,
  defineCommand,
  defineQuery,
  handler,
  type Handler,
} from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { failureOf } from "../drivers/nodes.ts";

type Cluster = TestCluster<readonly []>;

/** Whose time handlers wait in. */
let current: Cluster;

const Do = defineCommand<{ n: number; filler?: string }, string>("nodes.do");
const Look = defineQuery<{ n: number }, string>("nodes.look");
const Once = defineCommand<{ id: string }, string>("nodes.once", {
  idempotency: { key: "id", window: "10m" },
});
const Keyed = defineQuery<{ id: string }, string>("nodes.keyed", {
  route: { strategy: "consistentHash", key: "id" },
});

/** A cluster of a caller, `n1`, and others with `handlers`. */
async function clusterOf(
  others: number,
  handlers: readonly Handler[],
  options: Parameters<typeof TestCluster.start>[0] = {},
): Promise<Cluster> {
  const cluster = await TestCluster.start({ shardCount: 16, ...options, nodes: 1 });
  for (let n = 2; n < 2 + others; n++) await cluster.join(`n${n}`, { handlers });
  await cluster.advance("1s");
  return (current = cluster as Cluster);
}

/** A handler that answers with its node after `ms`, and remembers when it ran. */
function slow(def: typeof Do | typeof Look, ms: number) {
  const runs: { readonly n: number; readonly node: string }[] = [];
  const given: Handler = handler(def as typeof Do, async ({ n }, { node }) => {
    runs.push({ n, node });
    if (ms > 0) await current.sleep(node, ms);
    return node;
  });
  return { runs, given };
}

/** How `call` ends, within the time of the cluster. */
function endOf(cluster: Cluster, call: Promise<unknown>): Promise<Partial<CatgaError>> {
  return cluster.run(failureOf(call)) as Promise<Partial<CatgaError>>;
}

describe("a node that leaves", () => {
  test("fails no call, however late the others hear of it", async () => {
    const { given, runs } = slow(Do, 3);
    for (let seed = 1; seed <= 20; seed++) {
      await using cluster = await clusterOf(2, [given], { seed });
      cluster.authority({ delay: [0, 40] });
      cluster.network({ delay: [0, 20] });
      const calls: Promise<unknown>[] = [];
      const caller = cluster.node("n1");
      let left: Promise<void> | undefined;
      for (let n = 0; n < 80; n++) {
        calls.push(failureOf(caller.send(Do({ n }))), failureOf(caller.tell(Do({ n: 100 + n }))));
        if (n === 10) left = cluster.node("n3").stop();
        await cluster.advance(1);
      }
      const outcomes = await cluster.run(Promise.all(calls));
      expect(outcomes.filter((outcome) => typeof outcome !== "string")).toEqual([]);
      await cluster.run(left!);
      expect(new Set(runs.splice(0).map(({ n }) => n)).size).toBe(160);
    }
  });

  test("was the last one with a handler: from then on there is none", async () => {
    const handlers = [handler(Do, () => ""), handler(Keyed, () => "")];
    for (const end of ["leave", "kill"] as const) {
      await using cluster = await clusterOf(1, handlers);
      const caller = cluster.node("n1");
      expect(await cluster.run(caller.send(Keyed({ id: "k" })))).toBe("");
      await cluster[end]("n2");
      await cluster.advance("2s");
      for (const message of [Do({ n: 1 }), Keyed({ id: "k" })]) {
        for (const call of [() => caller.send(message), () => caller.tell(message)]) {
          const beganMs = cluster.nowMs;
          expect(await endOf(cluster, call())).toMatchObject({
            code: "NO_HANDLER",
            executed: "no",
          });
          expect(cluster.nowMs - beganMs).toBeLessThan(1);
        }
      }
      const none = await endOf(cluster, caller.broadcast(Do({ n: 1 })));
      expect(none).toMatchObject({ code: "NO_HANDLER" });
    }
  });
});

describe("a node that dies", () => {
  test("had a query: another one answers it; and a command, whose outcome is unknown", async () => {
    const [look, act] = [slow(Look, 50), slow(Do, 50)];
    await using cluster = await clusterOf(2, [look.given, act.given]);
    const caller = cluster.node("n1");
    const queries = [1, 2, 3, 4].map((n) => caller.send(Look({ n })));
    const commands = [1, 2, 3, 4].map((n) => failureOf(caller.send(Do({ n }))));
    await cluster.advance(20);
    cluster.kill("n3");
    expect(new Set(await cluster.run(Promise.all(queries)))).toEqual(new Set(["n2"]));
    const ends = (await cluster.run(Promise.all(commands))) as Partial<CatgaError>[];
    const lost = ends.filter(({ code }) => code === "OUTCOME_UNKNOWN");
    expect(lost.length).toBe(2);
    expect(act.runs.length).toBe(4);
    expect(look.runs.length).toBe(6);
  });

  test("gets nothing that waited for room: it goes elsewhere, commands too", async () => {
    const { given, runs } = slow(Do, 0);
    await using cluster = await clusterOf(2, [given]);
    const caller = cluster.node("n1");
    cluster.partition(["n3"], ["n1", "n2"]);
    const filler = "x".repeat(1_000_000);
    // One in two is for the node that is cut off: four of those fill its window.
    const calls = Array.from({ length: 20 }, (_, n) => failureOf(caller.send(Do({ n, filler }))));
    await cluster.advance(1);
    cluster.kill("n3");
    const ends = await cluster.run(Promise.all(calls));
    const lost = ends.filter((end) => (end as Partial<CatgaError>).code === "OUTCOME_UNKNOWN");
    expect(lost.length).toBeGreaterThan(0);
    expect(lost.length).toBeLessThan(10);
    expect(runs.length).toBe(20 - lost.length);
  });

  test("no longer waits for its own calls: their handlers are told to give up", async () => {
    const told: string[] = [];
    const forever = handler(Do, ({ n }, { signal }) => {
      signal.addEventListener("abort", () => told.push(String(n)));
      return new Promise<string>(() => {});
    });
    await using cluster = await clusterOf(1, [forever]);
    const asker = await cluster.join("n9");
    const calls = [asker.send(Do({ n: 1 }), { timeout: "1h" }), asker.tell(Do({ n: 2 }))];
    await cluster.advance(100);
    cluster.kill("n9");
    await cluster.advance("2s");
    // What was told was taken: it is for nobody's answer.
    expect(told).toEqual(["1"]);
    expect(calls.length).toBe(2);
    cluster.kill("n2");
  });

  test("was the last that handled a key: what may have run there is not said not to have", async () => {
    const forever = handler(Once, () => new Promise<string>(() => {}));
    await using cluster = await clusterOf(1, [forever]);
    const call = failureOf(cluster.node("n1").send(Once({ id: "a" })));
    await cluster.advance(100);
    cluster.kill("n2");
    const end = await cluster.run(call);
    expect(end).toMatchObject({ code: "OUTCOME_UNKNOWN", executed: "maybe" });
    expect(cluster.nowMs).toBeLessThan(5_000);
  });
});

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
    cluster.kill("n2");
    expect(await cluster.run(first)).toMatchObject({ code: "OUTCOME_UNKNOWN" });
  });

  test("that may only be local is tried again there, and not at once", async () => {
    const Here = defineQuery<void, string>("nodes.here", {
      route: { strategy: "localFirst", fallback: "fail" },
      concurrency: 1,
    });
    const run = handler(Here, async (_, { node }) => {
      await current.sleep(node, 70);
      return node;
    });
    await using cluster = await clusterOf(2, [run]);
    const calls = [1, 2].map(() => cluster.node("n2").send(Here()));
    expect(await cluster.run(Promise.all(calls))).toEqual(["n2", "n2"]);
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
    // Everything goes elsewhere.
    expect(await inTurn(10, call)).toEqual(new Array(10).fill("no failure, but n2"));
    cluster.heal();
    await cluster.advance("5s");
    const after = await inTurn(10, call);
    expect(events).toEqual(["circuit-opened n3 nodes.look", "circuit-closed n3 nodes.look"]);
    expect(new Set(after)).toEqual(new Set(["no failure, but n2", "no failure, but n3"]));
  });
});

async function inTurn(calls: number, call: (n: number) => Promise<unknown>): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (let n = 0; n < calls; n++) answers.push(await call(n));
  return answers;
}
