import { describe, expect, test } from "bun:test";
import { Cluster, command, defineEntity, type Logger } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { Probe, seen } from "./probe.ts";

describe("a slice", () => {
  test("of a flood of local messages gives timers their turn, whoever sends", async () => {
    await using cluster = await Cluster.start({ transport: "memory", entities: [Probe] });
    const timers = { ticks: 0 };
    const timer = setInterval(() => timers.ticks++, 10);
    const flood = async (way: "send" | "tell", id: string): Promise<void> => {
      while (timers.ticks < 50) await cluster.entity("probe", id)[way]({ type: "flood" });
    };
    const loops = Array.from({ length: 64 }, (_, n) => flood(n % 2 ? "send" : "tell", `${n}`));
    // A flood that starves the loop never ends: then this test runs out of its time.
    await Promise.all(loops);
    clearInterval(timer);
    expect(timers.ticks).toBeGreaterThanOrEqual(50);
  });

  test("ends after 10 ms: what follows waits for timers and sockets", async () => {
    const TURNS = 12;
    const order: string[] = [];
    const Busy = defineEntity("busy", {
      messages: { work: command<{ n: number }>() },
      state: () => ({}),
      handlers: {
        work(ctx, m) {
          cluster.block(ctx.node, 4);
          order.push(`turn ${m.n}`);
        },
      },
    });
    const options = { nodes: 1, entities: [Busy], heartbeat: "relaxed" } as const;
    await using cluster = await TestCluster.start(options);
    await cluster.advance(1);
    const timer = cluster.sleep("n1", 1).then(() => order.push("timer"));
    const ref = cluster.node("n1").entity(Busy, "1");
    // Each of these is awaited only when it is accepted, as a loop of tells would be.
    const flood = (async () => {
      for (let n = 1; n <= TURNS; n++) await ref.tell({ type: "work", n });
    })();
    await cluster.run(Promise.all([flood, timer]));
    await cluster.advance(20);
    expect(order.indexOf("timer")).toBeLessThan(order.indexOf(`turn ${TURNS}`));
    expect(order.filter((each) => each !== "timer")).toEqual(
      Array.from({ length: TURNS }, (_, n) => `turn ${n + 1}`),
    );
  });

  test("does not begin a turn under a lapsed lease, and goes on when it holds again", async () => {
    const warned: string[] = [];
    const log: Logger = {
      debug() {},
      info() {},
      warn: (_fields, text) => void warned.push(text),
      error: (_fields, text) => void warned.push(text),
    };
    await using cluster = await TestCluster.start({ nodes: 1, entities: [Probe], log });
    const node = cluster.node("n1");
    seen.length = 0;
    await cluster.run(node.entity(Probe, "1").send({ type: "note", text: "held" }));
    // The slice of that turn ends first: what keeps the next one waiting is the lease alone.
    await cluster.advance(20);
    cluster.block("n1", 5_000);
    const sent = node.entity(Probe, "1").send({ type: "note", text: "after the lapse" });
    await Promise.resolve();
    expect(seen.at(-1)).toBe("held");
    await cluster.run(sent);
    expect(seen.at(-1)).toBe("after the lapse");
    expect(warned).toEqual([]);
  });
});
