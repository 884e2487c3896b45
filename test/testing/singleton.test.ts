/** Tasks of the leader, in simulated time; what two nodes may never do at once is in `test/sim`. */
import { describe, expect, test } from "bun:test";
import type { Logger } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";

type Nodes = TestCluster<readonly []>;

/** What happened, in its order. */
const said: string[] = [];

async function start(nodes: number, log?: Logger): Promise<Nodes> {
  said.length = 0;
  const cluster = await TestCluster.start({ nodes, ...(log !== undefined && { log }) });
  for (const name of cluster.names) addTo(cluster, name);
  await cluster.advance("1s");
  return cluster;
}

/** Has `name` run the task that notes when it begins and when it is told to end. */
function addTo(cluster: Nodes, name: string): () => void {
  return cluster.node(name).singleton("clock", async (signal) => {
    said.push(`begins on ${name}`);
    await aborted(signal);
    said.push(`ends on ${name}`);
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

describe("a singleton", () => {
  test("runs on the leader only, wherever it was registered", async () => {
    await using cluster = await start(3);
    await cluster.advance("10s");
    expect(said).toEqual(["begins on n1"]);
  });

  test("goes to the next leader at once when its node leaves", async () => {
    await using cluster = await start(3);
    const startMs = cluster.nowMs;
    const leaving = cluster.leave("n1");
    await cluster.advance(20);
    expect(said).toEqual(["begins on n1", "ends on n1", "begins on n2"]);
    await leaving;
    expect(cluster.nowMs - startMs).toBeLessThan(1_000);
    expect(said).toHaveLength(3);
  });

  test("goes to the next leader when its node dies", async () => {
    await using cluster = await start(3);
    cluster.kill("n1");
    await cluster.advance("2s");
    expect(said).toEqual(["begins on n1", "begins on n2"]);
  });

  test("ends before others may begin, and comes back with a node that joins anew", async () => {
    await using cluster = await start(2);
    cluster.isolate("n1");
    await cluster.advance(850);
    expect(said).toEqual(["begins on n1", "ends on n1"]);
    await cluster.advance("2s");
    cluster.heal();
    await cluster.advance("2s");
    expect(said.slice(2)).toEqual(["begins on n2"]);
    await cluster.leave("n2");
    await cluster.advance("1s");
    expect(said.slice(3)).toEqual(["ends on n2", "begins on n1"]);
  });

  test("begins again when a lease that lapsed is renewed", async () => {
    await using cluster = await start(1);
    cluster.isolate("n1");
    await cluster.advance("3s");
    cluster.heal();
    await cluster.advance("1s");
    expect(said).toEqual(["begins on n1", "ends on n1", "begins on n1"]);
  });

  test("survives the loss of all records", async () => {
    await using cluster = await start(2);
    cluster.restore();
    await cluster.advance("10s");
    expect(said.slice(0, 2)).toEqual(["begins on n1", "ends on n1"]);
    expect(said).toHaveLength(3);
  });

  test("that throws is logged, and begins again later and later", async () => {
    const logged: string[] = [];
    const add = (fields: { err?: unknown }): void => void logged.push(String(fields.err));
    const log = { debug: add, info: add, warn: add, error: add };
    await using cluster = await start(1, log);
    const startsMs: number[] = [];
    cluster.node("n1").singleton("broken", () => {
      startsMs.push(cluster.nowMs);
      if (startsMs.length < 9) throw new Error(`try ${startsMs.length}`);
    });
    await cluster.advance("20s");
    expect(logged).toEqual(Array.from({ length: 8 }, (_, n) => `Error: try ${n + 1}`));
    const waitsMs = startsMs.slice(1).map((ms, n) => ms - startsMs[n]!);
    expect(waitsMs[0]).toBeWithin(25, 51);
    expect(waitsMs.at(-1)).toBeWithin(1_000, 2_001);
  });

  test("that returns has ended, until another node leads", async () => {
    await using cluster = await start(2);
    const runs: string[] = [];
    for (const name of cluster.names) {
      cluster.node(name).singleton("once", () => void runs.push(name));
    }
    cluster.isolate("n1", "n2");
    await cluster.advance("2s");
    cluster.heal();
    await cluster.advance("5s");
    expect(runs).toEqual(["n1"]);
    await cluster.leave("n1");
    await cluster.advance("1s");
    expect(runs).toEqual(["n1", "n2"]);
  });

  test("ends when that is asked for, and begins anew when its last run has ended", async () => {
    await using cluster = await start(1);
    const node = cluster.node("n1");
    const open: (() => void)[] = [];
    const slow = (name: string) => async (): Promise<void> => {
      said.push(`${name} begins`);
      await new Promise<void>((resolve) => open.push(resolve));
      said.push(`${name} ends`);
    };
    said.length = 0;
    const end = node.singleton("slow", slow("first"));
    await cluster.advance(100);
    end();
    end();
    node.singleton("slow", slow("second"));
    end();
    await cluster.advance("1s");
    expect(said).toEqual(["first begins"]);
    open[0]!();
    await cluster.advance("1s");
    expect(said).toEqual(["first begins", "first ends", "second begins"]);
    open[1]!();
  });

  test("that does not end is told of as stuck, and does not keep its node for ever", async () => {
    await using cluster = await start(2);
    const node = cluster.node("n1");
    const stuck: string[] = [];
    node.on("stuck", ({ what, sinceMs }) => stuck.push(`${what} ${sinceMs}`));
    const end = node.singleton("deaf", () => new Promise(() => {}));
    await cluster.advance(100);
    end();
    await cluster.advance("11s");
    expect(stuck).toEqual(['singleton "deaf", whose signal has aborted 10000']);
    const startMs = cluster.nowMs;
    await cluster.run(node.stop({ deadline: "5s" }));
    expect(cluster.nowMs - startMs).toBeWithin(4_000, 5_001);
    await cluster.advance("1s");
    expect(said.at(-1)).toBe("begins on n2");
  });

  test("has a name of its own, and a function", async () => {
    await using cluster = await start(1);
    const node = cluster.node("n1");
    expect(() => addTo(cluster, "n1")).toThrow('Cannot add singleton "clock" twice');
    expect(() => node.singleton("", () => {})).toThrow(TypeError);
    expect(() => node.singleton("x", "y" as never)).toThrow(TypeError);
  });
});
