/** What a watch is refused, what it is told when it is slow, and when pushes leave. */
import { describe, expect, spyOn, test } from "bun:test";
import { WATCHES_MAX } from "../../src/base/limits.ts";
import { CatgaError, command, defineEntity, type WatchEvent } from "../../src/index.ts";
import { Watches } from "../../src/runtime/watches.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { failureOf } from "../drivers/nodes.ts";
import { placesOf, range, Room, say, Spoken, start, Watcher } from "./rooms.ts";

function ignore(): void {}

describe("watch()", () => {
  test("refuses what is no id, no function, and one too many", async () => {
    await using cluster = await start({ nodes: 1 });
    const node = cluster.node("n1");
    expect(() => node.watch(Room, "", ignore)).toThrow("its id is empty");
    expect(() => node.watch("room", "a", 1 as never)).toThrow("no function");
    const ends = range(1, WATCHES_MAX).map((n) => node.watch(Room, `a${n % 100}`, ignore));
    expect(() => node.watch(Room, "a", ignore)).toThrow("watches of this node");
    ends[0]!();
    node.watch(Room, "a", ignore);
  });

  test("does not look for owners with every heartbeat of every node", async () => {
    await using cluster = await start({ nodes: 3 });
    const watchers = cluster.names.map((name) => new Watcher(cluster, name));
    await cluster.advance("1s");
    using look = spyOn(Watches.prototype, "look");
    await cluster.advance("4s");
    expect(look).not.toHaveBeenCalled();
    for (const { heard } of watchers) expect(heard).toEqual(["begun"]);
  });

  test("gives all who watch on a node one message, which nobody can change", async () => {
    await using cluster = await start({ nodes: 1 });
    const [one, other] = [new Watcher(cluster, "n1"), new Watcher(cluster, "n1")];
    await cluster.advance("50ms");
    await say(cluster, "n1", [1, 1]);
    await cluster.advance("50ms");
    expect(one.events[1]!).toBe(other.events[1]!);
    expect(Object.isFrozen(one.events[1]!.message)).toBe(true);
  });

  test("drops the oldest for who is slow, says so, and where that was", async () => {
    await using cluster = await start({ nodes: 2 });
    const { promise, resolve } = Promise.withResolvers<void>();
    const events: WatchEvent[] = [];
    cluster.node("n2").watch(Room, "a", (event) => {
      events.push(event);
      return promise;
    });
    await cluster.advance("50ms");
    const quick = new Watcher(cluster, "n1");
    await cluster.advance("50ms");
    await say(cluster, "n1", [1, 1_100]);
    await cluster.advance("50ms");
    expect(events.length).toBe(1);
    resolve();
    await cluster.advance("50ms");
    const [begun, mark, ...rest] = events;
    expect([begun?.missed, mark?.missed]).toEqual([false, true]);
    expect(rest.map(({ message }) => message?.["n"])).toEqual(range(78, 1_100));
    expect(mark?.id).toBe(quick.ids[77]);
  });

  test("goes on after one that fails", async () => {
    await using cluster = await start({ nodes: 1 });
    let count = 0;
    cluster.node("n1").watch(Room, "a", () => {
      count++;
      throw new Error("a watch's own");
    });
    await cluster.advance("50ms");
    await say(cluster, "n1", [1, 3]);
    await cluster.advance("50ms");
    expect(count).toBe(4);
  });

  test("is told what did not fit a stream, as soon as it does", async () => {
    await using cluster = await start({ nodes: 2 });
    const { owner, other } = placesOf(cluster);
    const watcher = new Watcher(cluster, other);
    await cluster.advance("100ms");
    cluster.partition([owner], [other]);
    const room = cluster.node(owner).entity(Room, "a");
    const text = "x".repeat(100_000);
    for (let n = 1; n <= 60; n++) await cluster.run(room.send({ type: "say", n, text }));
    await cluster.advance("100ms");
    cluster.heal();
    await cluster.advance("3s");
    const numbers = watcher.heard.filter((each) => typeof each === "number");
    expect(numbers.at(-1)).toBe(60);
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(watcher.heard).toContain("missed");
  });

  test("is given by the next node on its seat what came while no lease held", async () => {
    await using cluster = await start({ nodes: 2 });
    const { owner, other } = placesOf(cluster);
    const watcher = new Watcher(cluster, other);
    await cluster.advance("100ms");
    cluster.isolate(other);
    while (cluster.leaseHolds(other)) await cluster.advance("5ms");
    await say(cluster, owner, [1, 3]);
    await cluster.advance("10ms");
    expect(watcher.heard).toEqual(["begun"]);
    await cluster.advance("5s");
    cluster.heal();
    await cluster.advance("20s");
    expect(watcher.heard).toEqual(["begun", 1, 2, 3]);
  });

  test("is asked for at once by the next node on its seat", async () => {
    await using cluster = await start({ nodes: 2 });
    const { owner, other } = placesOf(cluster);
    const watcher = new Watcher(cluster, other);
    await cluster.advance("100ms");
    cluster.isolate(other);
    await cluster.advance("5s");
    cluster.heal();
    while (!cluster.leaseHolds(other)) await cluster.advance("5ms");
    await cluster.advance("20ms");
    await say(cluster, owner, [1, 1]);
    await cluster.advance("20ms");
    expect(watcher.heard).toEqual(["begun", 1]);
  });

  test("is not given the answer to a question that another one has asked before", async () => {
    await using cluster = await start({ nodes: 2 });
    const { owner, other } = placesOf(cluster);
    const before = new Watcher(cluster, owner);
    await cluster.advance("100ms");
    await say(cluster, owner, [1, 3]);
    await cluster.advance("20ms");
    cluster.network({ delay: [20, 20] });
    const first = new Watcher(cluster, other);
    await cluster.advance("15ms");
    const second = new Watcher(cluster, other, { after: before.ids[1]! });
    await cluster.advance("100ms");
    expect([first.heard, second.heard]).toEqual([["begun"], ["begun", 2, 3]]);
  });

  test("costs a node that nobody is told by nothing, and an owner forgets who died", async () => {
    await using cluster = await start();
    const watcher = new Watcher(cluster, "n1");
    await cluster.advance("100ms");
    watcher.end();
    await cluster.advance("1s");
    const before = cluster.traffic.frames;
    const { owner } = placesOf(cluster);
    await say(cluster, owner, [1, 20]);
    await cluster.advance("1s");
    expect(cluster.traffic.frames).toBe(before);
  });
});

describe("ctx.push()", () => {
  test("takes events only, so many, and only while a turn runs", async () => {
    await using cluster = await start({ nodes: 1 });
    const room = cluster.node("n1").entity(Room, "a");
    await cluster.run(room.send({ type: "pushes", count: 1_024 }));
    const many = await cluster.run(failureOf(room.send({ type: "pushes", count: 1_025 })));
    expect(String(many)).toContain("1024");
    let late: (() => void) | undefined;
    const errors: unknown[] = [];
    const Odd = defineEntity("odd", {
      messages: { go: command() },
      state: () => null,
      activated(ctx) {
        try {
          ctx.push(Spoken({ n: 1 }));
        } catch (error) {
          errors.push(error);
        }
      },
      handlers: {
        go(ctx) {
          late = () => ctx.push(Spoken({ n: 1 }));
          for (const odd of [{ type: "nothing" }, null, 1]) {
            try {
              ctx.push(odd as never);
            } catch (error) {
              errors.push(error);
            }
          }
        },
      },
    });
    await using other = await TestCluster.start({ nodes: 1, entities: [Odd] });
    await other.run(other.node("n1").entity(Odd, "a").send({ type: "go" }));
    expect(errors.length).toBe(4);
    for (const error of errors) expect(error).toBeInstanceOf(TypeError);
    expect(late).toThrow("Cannot push");
  });

  test("copies at once", async () => {
    const Changing = defineEntity("changing", {
      messages: { go: command() },
      state: () => null,
      handlers: {
        go(ctx) {
          const message = Spoken({ n: 1 });
          ctx.push(message);
          (message as { n: number }).n = 2;
        },
      },
    });
    await using other = await TestCluster.start({ nodes: 1, entities: [Changing] });
    const given: unknown[] = [];
    other.node("n1").watch(Changing, "a", ({ message }) => void given.push(message?.["n"]));
    await other.advance("50ms");
    await other.run(other.node("n1").entity(Changing, "a").send({ type: "go" }));
    await other.advance("50ms");
    expect(given).toEqual([undefined, 1]);
  });

  test("of what is stored leaves when that is stored", async () => {
    const Kept = defineEntity("kept", {
      messages: { go: command<{ n: number }>() },
      state: () => ({ n: 0 }),
      persistence: "write-through",
      handlers: {
        go(ctx, { n }) {
          ctx.state.n = n;
          ctx.push(Spoken({ n }));
        },
      },
    });
    await using cluster = await TestCluster.start({ nodes: 1, entities: [Kept], shardCount: 4 });
    const given: unknown[] = [];
    const node = cluster.node("n1");
    node.watch(Kept, "a", ({ message, missed }) => void given.push(message?.["n"] ?? missed));
    await cluster.advance("100ms");
    await cluster.run(node.entity(Kept, "a").send({ type: "go", n: 0 }));
    cluster.partition(["n1"], ["store"]);
    const call = node.entity(Kept, "a").send({ type: "go", n: 1 });
    const ended = call.catch((error: unknown) => error);
    await cluster.advance("2s");
    expect(given).toEqual([false, 0]);
    cluster.heal();
    await cluster.run(ended);
    await cluster.advance("100ms");
    expect(given).toEqual([false, 0, 1]);
    expect(await ended).not.toBeInstanceOf(CatgaError);
  });

  test("of what a stored turn waits for leaves when that is stored", async () => {
    const Kept = defineEntity("kept", {
      messages: { go: command<{ n: number }, number>(), part: command<{ n: number }, number>() },
      state: () => ({ n: 0 }),
      persistence: "write-through",
      reentrant: true,
      handlers: {
        go: (ctx, { n }) => ctx.peer(ctx.id).send({ type: "part", n }),
        part(ctx, { n }) {
          ctx.push(Spoken({ n }));
          return (ctx.state.n = n);
        },
      },
    });
    await using cluster = await TestCluster.start({ nodes: 1, entities: [Kept], shardCount: 4 });
    const given: unknown[] = [];
    const node = cluster.node("n1");
    node.watch(Kept, "a", ({ message, missed }) => void given.push(message?.["n"] ?? missed));
    await cluster.advance("100ms");
    await cluster.run(node.entity(Kept, "a").send({ type: "go", n: 0 }));
    cluster.partition(["n1"], ["store"]);
    const call = node.entity(Kept, "a").send({ type: "go", n: 1 });
    await cluster.advance("2s");
    expect(given).toEqual([false, 0]);
    cluster.heal();
    await cluster.run(call);
    await cluster.advance("100ms");
    expect(given).toEqual([false, 0, 1]);
  });

  test("waits for a lease, also where nobody waits for an answer", async () => {
    await using cluster = await start({ nodes: 2 });
    const { owner } = placesOf(cluster);
    const watcher = new Watcher(cluster, owner);
    await cluster.advance("100ms");
    const room = cluster.node(owner).entity(Room, "a");
    const Slow = { type: "slow" as const, ms: 5_000 };
    await cluster.run(room.tell(Slow));
    cluster.isolate(owner);
    await cluster.advance("1m");
    cluster.heal();
    await cluster.advance("10s");
    expect(watcher.heard).toEqual(["begun", "missed"]);
  });
});
