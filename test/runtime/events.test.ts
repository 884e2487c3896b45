/** How listeners to cluster events are called: in order, outside of what tells, none for others. */
import { describe, expect, test } from "bun:test";
import { SLICE_MS } from "../../src/base/limits.ts";
import type { Logger } from "../../src/base/logger.ts";
import { type ClusterEvents, Events } from "../../src/runtime/events.ts";
import { FakeClock } from "../base/fake-clock.ts";

/** Events, and what they log. */
function setUp() {
  const logged: Record<string, unknown>[] = [];
  const add = (fields: object, message: string): void => void logged.push({ ...fields, message });
  const log: Logger = { debug: add, info: add, warn: add, error: add };
  const clock = new FakeClock();
  return { events: new Events({ log, clock }), clock, logged };
}

/** Lets promises settle. */
async function settle(): Promise<void> {
  for (let n = 0; n < 10; n++) await Promise.resolve();
}

const left = (node: string): ClusterEvents["node-left"] => ({ node, reason: "left" });

describe("a listener", () => {
  test("is called when whoever tells has given the stack back, in their order", async () => {
    const { events } = setUp();
    const heard: string[] = [];
    events.on("node-left", ({ node }) => heard.push(`${node} left`));
    events.on("leader-elected", ({ node }) => heard.push(`${node} leads`));
    events.emit("node-left", left("a"));
    events.emit("leader-elected", { node: "b" });
    events.emit("node-left", left("b"));
    expect(heard).toEqual([]);
    await settle();
    expect(heard).toEqual(["a left", "b leads", "b left"]);
  });

  test("hears nothing any more when it has ended that, what was under way included", async () => {
    const { events } = setUp();
    const heard: string[] = [];
    const end = events.on("node-left", ({ node }) => heard.push(node));
    events.emit("node-left", left("a"));
    end();
    end();
    events.emit("node-left", left("b"));
    await settle();
    expect(heard).toEqual([]);
  });

  test("that throws, or whose promise rejects, is logged and hurts nobody", async () => {
    const { events, logged } = setUp();
    const heard: string[] = [];
    events.on("node-left", () => {
      throw new Error("thrown");
    });
    events.on("node-left", () => Promise.reject(new Error("rejected")));
    events.on("node-left", ({ node }) => heard.push(node));
    events.emit("node-left", left("a"));
    events.emit("node-left", left("b"));
    await settle();
    expect(heard).toEqual(["a", "b"]);
    const failures = logged.map(({ err, type }) => `${(err as Error).message} ${type as string}`);
    expect(failures.sort().join()).toBe(
      "rejected node-left,rejected node-left,thrown node-left,thrown node-left",
    );
  });

  test("that returns a promise gets one event at a time, and keeps nobody waiting", async () => {
    const { events } = setUp();
    const heard: string[] = [];
    const open: (() => void)[] = [];
    events.on("node-left", async ({ node }) => {
      heard.push(`slow ${node}`);
      await new Promise<void>((resolve) => open.push(resolve));
    });
    events.on("node-left", ({ node }) => heard.push(`quick ${node}`));
    for (const node of ["a", "b", "c"]) events.emit("node-left", left(node));
    await settle();
    expect(heard).toEqual(["slow a", "quick a", "quick b", "quick c"]);
    for (const node of ["b", "c"]) {
      open.shift()!();
      await settle();
      expect(heard.at(-1)).toBe(`slow ${node}`);
    }
    open.shift()!();
    await settle();
    events.emit("node-left", left("d"));
    await settle();
    expect(heard.slice(-2)).toEqual(["slow d", "quick d"]);
  });

  test("that is too slow misses the oldest, and that is logged with their number", async () => {
    const { events, logged } = setUp();
    const heard: number[] = [];
    const open: (() => void)[] = [];
    const gate = new Promise<void>((resolve) => open.push(resolve));
    events.on("stuck", async ({ sinceMs }) => {
      heard.push(sinceMs);
      await gate;
    });
    events.emit("stuck", { what: "x", sinceMs: -1 });
    await settle();
    for (let n = 0; n < 1_030; n++) events.emit("stuck", { what: "x", sinceMs: n });
    const message = "a listener to cluster events is slow, it misses the oldest";
    expect(logged).toEqual([{ type: "stuck", message }]);
    open[0]!();
    for (let n = 0; n < 500; n++) await settle();
    expect(heard).toEqual([-1, ...Array.from({ length: 1_024 }, (_, n) => n + 6)]);
    const missed = { type: "stuck", dropped: 6, message: "a listener has missed cluster events" };
    expect(logged.slice(1)).toEqual([missed]);
  });

  test("that blocks lets timers and sockets go first, again and again", async () => {
    const { events, clock } = setUp();
    const heard: string[] = [];
    events.on("node-left", ({ node }) => {
      heard.push(node);
      clock.freeze(SLICE_MS);
    });
    for (const node of ["a", "b"]) events.emit("node-left", left(node));
    await settle();
    expect(heard).toEqual(["a"]);
    clock.turn();
    expect(heard).toEqual(["a", "b"]);
  });

  test("is a function, of an event that there is", () => {
    const { events } = setUp();
    expect(() => events.on("stuck", "log" as never)).toThrow(TypeError);
    expect(() => events.on("hot-keys" as never, () => {})).toThrow("circuit-opened");
    for (const type of ["circuit-opened", "circuit-closed", "hot-key"] as const) {
      events.on(type, () => {})();
    }
  });
});
