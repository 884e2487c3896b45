/** What becomes of calls of handlers when nodes leave or die, in simulated time. */
import { describe, expect, test } from "bun:test";
import { type CatgaError, defineCommand, handler } from "../../src/index.ts";
import { failureOf } from "../drivers/nodes.ts";
import { clusterOf, Do, endOf, Keyed, Look, Once, working, slow } from "./sites.ts";

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

  test("has left before a caller hears of it: what it did not take goes elsewhere", async () => {
    const { given, runs } = slow(Do, 3);
    await using cluster = await clusterOf(2, [given]);
    cluster.isolate("n1");
    const left = cluster.node("n3").stop();
    const calls: Promise<unknown>[] = [];
    for (let n = 0; n < 100; n++) {
      calls.push(failureOf(cluster.node("n1").send(Do({ n }))));
      await cluster.advance(4);
    }
    await cluster.run(left);
    cluster.heal();
    const outcomes = await cluster.run(Promise.all(calls));
    expect(outcomes.filter((outcome) => typeof outcome !== "string")).toEqual([]);
    expect(runs.length).toBe(100);
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

describe("a broadcast", () => {
  const Everybody = defineCommand<{ n: number }, string>("nodes.everybody", {
    route: { strategy: "broadcast" },
  });

  test("to all ends with everybody's outcome, though one has failed long before", async () => {
    const handlers = [Everybody, Do].map((def) => handler(def, answer));
    await using cluster = await clusterOf(3, handlers);
    const caller = cluster.node("n1");
    for (const def of [Everybody, Do]) {
      const outcomes = await cluster.run(caller.broadcast(def({ n: 1 }), { timeout: "1s" }));
      expect(outcomes.toSorted((a, b) => (a.node < b.node ? -1 : 1))).toEqual([
        { node: "n2", ok: false, code: "HANDLER_FAILED" },
        { node: "n3", ok: true, reply: "n3" },
        { node: "n4", ok: false, code: "CALL_TIMEOUT" },
      ]);
    }
  });

  test("is no longer waited for by a send that cannot have enough answers any more", async () => {
    await using cluster = await clusterOf(3, [handler(Everybody, answer)]);
    const beganMs = cluster.nowMs;
    const refused = await endOf(cluster, cluster.node("n1").send(Everybody({ n: 1 })));
    expect(refused).toMatchObject({ code: "NO_QUORUM", executed: "yes" });
    expect(cluster.nowMs - beganMs).toBeLessThan(1_000);
  });
});

describe("a node that dies", () => {
  test("had a command with a key: with the key of its window too, it runs there only", async () => {
    const Bound = defineCommand<{ id: string }, string>("nodes.bound", {
      route: { strategy: "consistentHash", key: "id" },
    });
    const runs: string[] = [];
    const both = [Once, Bound].map((def) =>
      handler(def, async ({ id }, { node }) => {
        runs.push(`${def.type} ${id}`);
        await working(node, 50);
        return node;
      }),
    );
    await using cluster = await clusterOf(2, both);
    const ids = Array.from({ length: 20 }, (_, n) => String(n));
    const calls = [Once, Bound].flatMap((def) =>
      ids.map((id) => failureOf(cluster.node("n1").send(def({ id })))),
    );
    await cluster.advance(20);
    cluster.kill("n3");
    const ends = await cluster.run(Promise.all(calls));
    const lost = ends.filter((end) => (end as Partial<CatgaError>).code === "OUTCOME_UNKNOWN");
    expect(lost.length).toBeGreaterThan(5);
    expect(ends.filter((end) => end === "no failure, but n2").length).toBe(40 - lost.length);
    expect(new Set(runs).size).toBe(40);
    expect(runs.length).toBe(40);
  });

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

  test("was the last that handled a key: what may have run is not said not to have", async () => {
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

/** A handler that fails on one node, and on another takes its time. */
async function answer(_: object, { node }: { readonly node: string }): Promise<string> {
  if (node === "n2") throw new Error("not here");
  if (node === "n4") await working(node, 5_000);
  return node;
}
