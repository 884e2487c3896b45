/** Watching an entity, in simulated time: what it pushes comes to who watches, wherever it goes. */
import { describe, expect, test } from "bun:test";
import { failureOf } from "../drivers/nodes.ts";
import { placesOf, range, Room, say, start, Watcher } from "./rooms.ts";

describe("watch()", () => {
  test("hears what is pushed after it has begun, on every node, in order", async () => {
    await using cluster = await start();
    await say(cluster, "n1", [1, 2]);
    const watchers = cluster.names.map((name) => new Watcher(cluster, name));
    await cluster.advance("100ms");
    await say(cluster, "n2", [3, 30]);
    await cluster.advance("100ms");
    for (const { heard } of watchers) expect(heard).toEqual(["begun", ...range(3, 30)]);
    for (const { ids } of watchers) expect(ids).toEqual(watchers[0]!.ids);
    watchers[0]!.end();
    watchers[0]!.end();
    await say(cluster, "n2", [31, 31]);
    await cluster.advance("100ms");
    expect(watchers.map(({ heard }) => heard.length)).toEqual([29, 30, 30]);
  });
  test("follows a room that moves, again and again, and loses nothing", async () => {
    await using cluster = await start({ nodes: 2 });
    const watchers = cluster.names.map((name) => new Watcher(cluster, name));
    await cluster.advance("100ms");
    let n = 0;
    for (const name of ["n3", "n4", "n5"]) {
      const joining = cluster.join(name);
      for (let turn = 0; turn < 40; turn++) {
        await say(cluster, "n1", [++n, n]);
        await cluster.advance("5ms");
      }
      await joining;
    }
    for (const name of ["n3", "n5", "n4"]) {
      const leaving = cluster.leave(name);
      for (let turn = 0; turn < 40; turn++) {
        await say(cluster, "n1", [++n, n]);
        await cluster.advance("5ms");
      }
      await leaving;
    }
    await cluster.advance("100ms");
    for (const { heard } of watchers) expect(heard).toEqual(["begun", ...range(1, n)]);
  });
  test("goes on where another one was, on another node", async () => {
    await using cluster = await start();
    const first = new Watcher(cluster, "n1");
    await cluster.advance("100ms");
    await say(cluster, "n1", [1, 3]);
    await cluster.advance("50ms");
    const after = first.last!;
    first.end();
    await say(cluster, "n1", [4, 9]);
    const second = new Watcher(cluster, "n2", { after });
    await cluster.advance("100ms");
    await say(cluster, "n1", [10, 10]);
    await cluster.advance("100ms");
    expect(second.heard).toEqual(["begun", ...range(4, 10)]);
  });
  test("says that it has missed something when nobody knows any more", async () => {
    await using cluster = await start();
    const first = new Watcher(cluster, "n1");
    await cluster.advance("100ms");
    await say(cluster, "n1", [1, 300]);
    await cluster.advance("100ms");
    const late = new Watcher(cluster, "n2", { after: first.ids[3]! });
    const odd = new Watcher(cluster, "n3", { after: "who knows" });
    const future = new Watcher(cluster, "n3", { after: `${first.last!}0` });
    await cluster.advance("100ms");
    expect(late.heard).toEqual(["missed", ...range(45, 300)]);
    expect(odd.heard[0]).toBe("missed");
    expect(future.heard[0]).toBe("missed");
    for (const { end } of [first, late, odd, future]) end();
    await cluster.advance("1m");
    const still = new Watcher(cluster, "n2", { after: first.last! });
    await cluster.advance("100ms");
    expect(still.heard).toEqual(["begun"]);
    still.end();
    await cluster.advance("1m");
    await say(cluster, "n1", [301, 301]);
    const again = new Watcher(cluster, "n2", { after: first.last! });
    await cluster.advance("100ms");
    expect(again.heard[0]).toBe("missed");
  });
  test("outlives the memory of its entity", async () => {
    await using cluster = await start();
    const watcher = new Watcher(cluster, "n2");
    await cluster.advance("100ms");
    await say(cluster, "n1", [1, 2]);
    await cluster.run(cluster.node("n1").entity(Room, "a").send({ type: "leave" }));
    await cluster.advance("1m");
    await say(cluster, "n1", [3, 4]);
    await cluster.advance("100ms");
    expect(watcher.heard).toEqual(["begun", 1, 2, 3, 4]);
  });
  test("goes on after its owner has died, and says so", async () => {
    await using cluster = await start();
    const { owner, other } = placesOf(cluster);
    const watcher = new Watcher(cluster, other);
    await cluster.advance("100ms");
    await say(cluster, other, [1, 3]);
    await cluster.advance("50ms");
    cluster.kill(owner);
    const lost = cluster.node(other).entity(Room, "a").send({ type: "say", n: 4 });
    await cluster.run(failureOf(lost));
    await cluster.advance("1s");
    await say(cluster, other, [5, 8]);
    await cluster.advance("100ms");
    expect(watcher.heard).toEqual(["begun", 1, 2, 3, "missed", 5, 6, 7, 8]);
  });
  test("is told nothing of a turn that failed", async () => {
    await using cluster = await start();
    const watcher = new Watcher(cluster, "n1");
    await cluster.advance("100ms");
    const failed = cluster.node("n1").entity(Room, "a").send({ type: "fail", n: 1 });
    await cluster.run(failureOf(failed));
    await say(cluster, "n1", [2, 2]);
    await cluster.advance("100ms");
    expect(watcher.heard).toEqual(["begun", 2]);
  });
});
