/** Who hears of what happens elsewhere, and knows that it does, in simulated time. */
import { describe, expect, test } from "bun:test";
import { HEARTBEATS, PEER_WINDOW_BYTES } from "../../src/base/limits.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { hearing, Said, say, start, topicsOf, watching } from "./topics.ts";

const LEASE_MS = HEARTBEATS.fast.timeoutMs;
const PAID = "orders.paid";
const STORM = 100_000;

function fail(): never {
  throw new Error("a watch's own");
}

describe("interest", () => {
  test("costs a cluster without topics nothing", async () => {
    await using cluster = await start();
    await cluster.advance("10s");
    expect(cluster.traffic.frames).toBe(0);
  });

  test("narrows what is sent to those who want it", async () => {
    await using cluster = await start();
    const heard = hearing(cluster, "n2");
    const framesOf20 = async (): Promise<number> => {
      const before = cluster.traffic.frames;
      for (let n = 0; n < 20; n++) {
        await say(cluster, "n1", 1);
        await cluster.advance("10ms");
      }
      return cluster.traffic.frames - before;
    };
    // The first one tells n3 what it does not want, and n3 says so.
    expect(await framesOf20()).toBeLessThan(2 * 20 + 15);
    expect(await framesOf20()).toBe(2 * 20);
    expect(heard.length).toBe(40);
    topicsOf(cluster, "n1").happened(PAID, { type: PAID });
    await cluster.advance("10ms");
    const before = cluster.traffic.frames;
    for (let n = 0; n < 100; n++) topicsOf(cluster, "n1").happened(PAID, { type: PAID });
    await cluster.advance("1s");
    expect(cluster.traffic.frames).toBe(before);
  });

  test("ends with the subscription, and grows again", async () => {
    await using cluster = await start({ nodes: 2 });
    const end = cluster.node("n2").subscribe(Said, () => {});
    await cluster.advance("50ms");
    end();
    end();
    await cluster.advance("50ms");
    const before = cluster.traffic.frames;
    await say(cluster, "n1", 5);
    await cluster.advance("50ms");
    expect(cluster.traffic.frames).toBe(before);
    const heard = hearing(cluster, "n2");
    await cluster.advance("50ms");
    await say(cluster, "n1", 5);
    await cluster.advance("50ms");
    expect(heard.length).toBe(5);
  });

  test("of a thousand subscriptions is told in a few frames", async () => {
    await using cluster = await start();
    for (let n = 0; n < 1_000; n++) topicsOf(cluster, "n1").subscribe(`topic-${n}`, () => {});
    await cluster.advance("50ms");
    expect(cluster.traffic.frames).toBeLessThan(10);
    expect(cluster.traffic.frameBytes).toBeLessThan(100_000);
  });
});

describe("isHeard()", () => {
  test("needs a watch, and all who live; a newcomer has to hear of it, too", async () => {
    await using cluster = await start();
    const topics = topicsOf(cluster, "n1");
    expect(topics.isHeard(PAID)).toBe(false);
    const watch = watching(topics, PAID);
    expect(topics.isHeard(PAID)).toBe(false);
    await cluster.advance("10ms");
    expect(topics.isHeard(PAID)).toBe(true);
    expect(topics.isHeard("orders.placed")).toBe(false);
    watching(topics, "orders.placed");
    expect(topics.isHeard("orders.placed")).toBe(false);
    expect(topics.isHeard(PAID)).toBe(true);
    await cluster.advance("10ms");
    expect(topics.isHeard("orders.placed")).toBe(true);
    await cluster.join("n4");
    await cluster.advance("10s");
    expect(topics.isHeard(PAID)).toBe(true);
    expect(watch.lost).toBe(0);
    watch.end();
    expect(topics.isHeard(PAID)).toBe(false);
  });

  test("costs heartbeats as long as something is watched, and nothing afterwards", async () => {
    await using cluster = await start();
    const watch = watching(topicsOf(cluster, "n1"), PAID);
    await cluster.advance("1s");
    const before = cluster.traffic.frames;
    await cluster.advance("1s");
    // To two others five times: what is told, the answer, and what acknowledges that.
    expect(cluster.traffic.frames - before).toBe(2 * 5 * 3);
    watch.end();
    await cluster.advance("1s");
    const after = cluster.traffic.frames;
    await cluster.advance("10s");
    expect(cluster.traffic.frames).toBe(after);
  });

  test("is false within a lease on a node that is cut off from another: a loss", async () => {
    await using cluster = await start();
    const topics = topicsOf(cluster, "n1");
    const watch = watching(topics, PAID);
    await cluster.advance("1s");
    cluster.partition(["n1"], ["n3"]);
    topicsOf(cluster, "n3").happened(PAID, { type: PAID, n: 1 });
    await cluster.advance(LEASE_MS);
    expect(topics.isHeard(PAID)).toBe(false);
    await cluster.advance("1s");
    expect(watch).toMatchObject({ messages: [], lost: 1 });
    cluster.heal();
    await cluster.advance("5s");
    expect(topics.isHeard(PAID)).toBe(true);
    expect(watch).toMatchObject({ messages: [{ n: 1 }], lost: 1 });
  });

  test("is false as soon as this node may not act", async () => {
    await using cluster = await start();
    const topics = topicsOf(cluster, "n1");
    watching(topics, PAID);
    await cluster.advance("1s");
    cluster.isolate("n1");
    for (let ms = 0; ms < 3_000; ms += 50) {
      await cluster.advance(50);
      if (!cluster.leaseHolds("n1")) expect(topics.isHeard(PAID)).toBe(false);
    }
  });

  test("is false on a node that was replaced until all have heard of the new one", async () => {
    await using cluster = await start();
    const topics = topicsOf(cluster, "n1");
    const watch = watching(topics, PAID);
    await cluster.advance("1s");
    cluster.pause("n1");
    await cluster.advance("3s");
    topicsOf(cluster, "n2").happened(PAID, { type: PAID, n: 1 });
    cluster.resume("n1");
    expect(topics.isHeard(PAID)).toBe(false);
    await cluster.advance("5s");
    expect(watch.lost).toBeGreaterThan(0);
    expect(topics.isHeard(PAID)).toBe(true);
    topicsOf(cluster, "n2").happened(PAID, { type: PAID, n: 2 });
    await cluster.advance("10ms");
    expect(watch.messages.at(-1)).toMatchObject({ n: 2 });
  });
});

describe("a watch", () => {
  test("is told at once here, elsewhere once in a frame if it wants no messages", async () => {
    await using cluster = await start();
    const [here, hint, whole] = [
      watching(topicsOf(cluster, "n1"), PAID),
      watching(topicsOf(cluster, "n2"), PAID, false),
      watching(topicsOf(cluster, "n3"), PAID),
    ];
    await cluster.advance("50ms");
    for (let n = 1; n <= 5; n++) {
      topicsOf(cluster, "n1").happened(PAID, { type: PAID, n });
      expect(here.messages.length).toBe(n);
    }
    await cluster.advance("10ms");
    expect(hint).toMatchObject({ messages: [], hints: 1 });
    expect(whole).toMatchObject({ hints: 0 });
    expect(whole.messages).toEqual([1, 2, 3, 4, 5].map((n) => ({ type: PAID, n })));
  });

  test("is told of events as well, and of what happened without its message", async () => {
    await using cluster = await start({ nodes: 2 });
    const said = watching(topicsOf(cluster, "n2"), Said({ from: "", n: 0 }).type);
    const paid = watching(topicsOf(cluster, "n2"), PAID);
    await cluster.advance("50ms");
    await say(cluster, "n1", 2);
    topicsOf(cluster, "n1").happened(PAID, undefined);
    await cluster.advance("10ms");
    expect(said.messages.length).toBe(2);
    expect(paid).toMatchObject({ messages: [], hints: 1 });
  });

  test("that throws hurts nobody else", async () => {
    await using cluster = await start({ nodes: 1 });
    const topics = topicsOf(cluster, "n1");
    topics.watch(PAID, { wantsMessage: true, heard: fail, lost: fail });
    const other = watching(topics, PAID);
    topics.happened(PAID, { type: PAID });
    topics.lost();
    expect(other).toMatchObject({ messages: [{ type: PAID }], lost: 1 });
  });

  test("hears that a node died, for what it said last may be lost", async () => {
    await using cluster = await start();
    const watch = watching(topicsOf(cluster, "n1"), PAID);
    await cluster.advance("1s");
    await cluster.leave("n2");
    await cluster.advance("3s");
    expect(watch.lost).toBe(0);
    cluster.kill("n3");
    await cluster.advance("3s");
    expect(watch.lost).toBeGreaterThan(0);
    expect(topicsOf(cluster, "n1").isHeard(PAID)).toBe(true);
  });

  test("is told before the answer of the command, and anything later", async () => {
    await using cluster = await start({ nodes: 2 });
    const order: string[] = [];
    const topics = topicsOf(cluster, "n2");
    topics.watch(PAID, { wantsMessage: false, heard: () => order.push("hint"), lost() {} });
    cluster.node("n2").subscribe(Said, ({ n }) => void order.push(`${n}`));
    await cluster.advance("50ms");
    for (let n = 1; n <= 3; n++) {
      topicsOf(cluster, "n1").happened(PAID, { type: PAID });
      // Fills a frame each: a hint in one that has left already does not count for the next.
      const event = Said({ from: "n1", n, text: "x".repeat(300_000) });
      await cluster.node("n1").publish(event);
    }
    await cluster.advance("50ms");
    expect(order).toEqual(["hint", "1", "hint", "2", "hint", "3"]);
  });
});

describe("a storm", () => {
  test("of 100,000 in a tick costs those who want no messages one note", async () => {
    await using cluster = await start({ nodes: 2 });
    const watch = watching(topicsOf(cluster, "n2"), PAID, false);
    await cluster.advance("50ms");
    const before = cluster.traffic.frameBytes;
    for (let n = 0; n < STORM; n++) topicsOf(cluster, "n1").happened(PAID, { type: PAID, n });
    await cluster.advance("50ms");
    expect(watch.hints).toBe(1);
    expect(cluster.traffic.frameBytes - before).toBeLessThan(500);
  });

  test("fills the window of a stream and no more: its rest is one note, and comes", async () => {
    await using cluster = await start({ nodes: 2 });
    const topics = topicsOf(cluster, "n2");
    const watch = watching(topics, PAID);
    const heard = hearing(cluster, "n2");
    await cluster.advance("50ms");
    cluster.partition(["n1"], ["n2"]);
    const before = cluster.traffic.frameBytes;
    for (let n = 1; n <= STORM; n++) topicsOf(cluster, "n1").happened(PAID, { type: PAID, n });
    await cluster.advance("1ms");
    for (let n = 1; n <= STORM; n++) topicsOf(cluster, "n1").happened(PAID, { type: PAID, n });
    await say(cluster, "n1", 5);
    // Before anything is sent again.
    expect(cluster.traffic.frameBytes - before).toBeLessThan(PEER_WINDOW_BYTES + 300_000);
    await cluster.advance("400ms");
    cluster.heal();
    await cluster.advance("10s");
    expect(watch.hints).toBe(1);
    expect(watch.messages.length).toBeGreaterThan(10_000);
    expect(heard).toEqual([]);
    await say(cluster, "n1", 1);
    await cluster.advance("50ms");
    expect(heard).toEqual(["n1:1"]);
    expect(topics.isHeard(PAID)).toBe(true);
  });
});

test("topics need no node of the same kind: one that only calls takes part", async () => {
  await using cluster = await TestCluster.start({ nodes: 2 });
  await cluster.advance("50ms");
  const heard: number[] = [];
  cluster.node("n2").subscribe(Said, ({ n }) => void heard.push(n));
  await cluster.node("n1").publish(Said({ from: "n1", n: 1 }));
  await cluster.advance("50ms");
  expect(heard).toEqual([1]);
});
