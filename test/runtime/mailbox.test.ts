import { describe, expect, test } from "bun:test";
import { command, defineEntity } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { errorOf, gate, gates, Probe, seen, start } from "./probe.ts";

describe("a mailbox", () => {
  test("runs commands one after the other in the order they came", async () => {
    await using cluster = await start();
    const node = cluster.node("n1");
    const [a, b] = [gate("a"), gate("b")];
    const ref = node.entity(Probe, "1");
    const both = Promise.all([
      ref.send({ type: "wait", gate: "a" }),
      ref.send({ type: "wait", gate: "b" }),
    ]);
    b.open();
    await cluster.advance(50);
    expect(seen).toEqual(["activated 1", "wait a"]);
    a.open();
    expect(await cluster.run(both)).toEqual(["a", "b"]);
    expect(seen).toEqual(["activated 1", "wait a", "waited a", "wait b", "waited b"]);
  });

  test("runs queries beside queries, and a command only alone", async () => {
    await using cluster = await start();
    const node = cluster.node("n1");
    const [q, r] = [gate("q"), gate("r")];
    const ref = node.entity(Probe, "1");
    const all = Promise.all([
      ref.send({ type: "look", gate: "q" }),
      ref.send({ type: "look", gate: "r" }),
      ref.send({ type: "wait", gate: "c" }),
      ref.send({ type: "look", gate: "l" }),
    ]);
    await cluster.advance(50);
    expect(seen).toEqual(["activated 1", "look q", "look r"]);
    r.open();
    q.open();
    await cluster.run(all);
    expect(seen.slice(-4)).toEqual(["wait c", "waited c", "look l", "looked l"]);
  });

  test("refuses one message too many, and takes messages again when there is room", async () => {
    await using cluster = await start();
    const node = cluster.node("n1");
    const a = gate("a");
    const ref = node.entity(Probe, "1");
    const first = ref.send({ type: "wait", gate: "a" });
    const waiting = Array.from({ length: 4 }, (_, n) => ref.tell({ type: "note", text: `${n}` }));
    const error = await errorOf(ref.tell({ type: "note", text: "one too many" }));
    expect([error.code, error.executed]).toEqual(["MAILBOX_FULL", "no"]);
    expect(error.details).toEqual({ entity: "probe/1", capacity: 4 });
    a.open();
    await cluster.run(Promise.all([first, ...waiting]));
    await cluster.run(ref.send({ type: "note", text: "room again" }));
    expect(seen.slice(-5)).toEqual(["0", "1", "2", "3", "room again"]);
  });

  test("goes on after a handler that throws", async () => {
    await using cluster = await start();
    const node = cluster.node("n1");
    const error = await errorOf(node.entity(Probe, "1").send({ type: "fail" }));
    expect([error.code, error.executed]).toEqual(["HANDLER_FAILED", "yes"]);
    expect(error.details).toMatchObject({ name: "RangeError", text: "no more" });
    await cluster.run(node.entity(Probe, "1").send({ type: "note", text: "next" }));
    expect(seen.at(-1)).toBe("next");
  });

  test("lets an entity tell itself something", async () => {
    await using cluster = await start();
    const node = cluster.node("n1");
    expect(await cluster.run(node.entity(Probe, "1").send({ type: "again" }))).toBe("sent");
    await cluster.advance(10);
    expect(seen.at(-1)).toBe("told myself");
  });
});

describe("a deadline", () => {
  test("fails the caller of a handler that never ends, and only the caller", async () => {
    await using cluster = await start();
    const node = cluster.node("n1");
    const a = gate("a");
    const ref = node.entity(Probe, "1");
    const stuck = errorOf(ref.send({ type: "wait", gate: "a" }, { timeout: "2s" }));
    const behind = errorOf(ref.send({ type: "note", text: "behind" }, { timeout: 500 }));
    await cluster.advance(2_100);
    const [late, unrun] = [await stuck, await behind];
    expect([late.code, late.executed]).toEqual(["CALL_TIMEOUT", "maybe"]);
    expect([unrun.code, unrun.executed]).toEqual(["CALL_TIMEOUT", "no"]);
    a.open();
    await cluster.run(ref.send({ type: "note", text: "after" }));
    expect(seen.slice(-2)).toEqual(["waited a", "after"]);
  });

  test("is no shorter than what was asked for", async () => {
    await using cluster = await start();
    const node = cluster.node("n1");
    gate("a");
    let isOver = false;
    const call = node.entity(Probe, "1").send({ type: "wait", gate: "a" }, { timeout: "1s" });
    const over = errorOf(call).finally(() => (isOver = true));
    await cluster.advance(999);
    expect(isOver).toBe(false);
    await cluster.advance(20);
    expect(isOver).toBe(true);
    expect((await over).code).toBe("CALL_TIMEOUT");
  });

  test("is not needed by a caller who gives up", async () => {
    await using cluster = await start();
    const node = cluster.node("n1");
    gate("a");
    const controller = new AbortController();
    const ref = node.entity(Probe, "1");
    const running = errorOf(ref.send({ type: "wait", gate: "a" }, { signal: controller.signal }));
    const waiting = errorOf(
      ref.send({ type: "note", text: "never" }, { signal: controller.signal }),
    );
    await cluster.advance(1);
    controller.abort();
    expect([(await running).code, (await running).executed]).toEqual(["CANCELLED", "maybe"]);
    expect([(await waiting).code, (await waiting).executed]).toEqual(["CANCELLED", "no"]);
    gates.get("a")?.open();
    await cluster.advance(10);
    expect(seen).not.toContain("never");
  });
});

describe("an activation", () => {
  test("leaves memory when it was idle for its time, and comes back anew", async () => {
    await using cluster = await start();
    const node = cluster.node("n1");
    await cluster.run(node.entity(Probe, "1").send({ type: "keep", value: 7 }));
    await cluster.advance(599_000);
    await cluster.run(node.entity(Probe, "1").send({ type: "note", text: "used" }));
    await cluster.advance(599_000);
    expect(seen).not.toContain("deactivated 1 idle");
    await cluster.advance(3_000);
    expect(seen.at(-1)).toBe("deactivated 1 idle");
    expect(await cluster.run(node.entity(Probe, "1").send({ type: "kept" }))).toMatchObject({
      values: [],
    });
  });

  test("leaves memory when it asks to, and what waits meets the next one", async () => {
    await using cluster = await start();
    const node = cluster.node("n1");
    const ref = node.entity(Probe, "1");
    await cluster.run(
      Promise.all([ref.send({ type: "leave" }), ref.send({ type: "note", text: "next" })]),
    );
    expect(seen).toEqual(["activated 1", "deactivated 1 idle", "activated 1", "next"]);
  });

  test("stays for a timer, which fires once", async () => {
    await using cluster = await start();
    const node = cluster.node("n1");
    await cluster.run(node.entity(Probe, "1").send({ type: "later", text: "fired" }));
    await cluster.advance(59_000);
    expect(seen).toEqual(["activated 1"]);
    await cluster.advance(120_000);
    expect(seen).toEqual(["activated 1", "fired"]);
  });

  test("that fails to begin refuses its messages with a code", async () => {
    const Broken = defineEntity("broken", {
      messages: { ping: command<void, string>() },
      state: (id) => {
        if (id === "state") throw new TypeError("no state");
        return {};
      },
      handlers: { ping: () => "pong" },
      activated(ctx) {
        if (ctx.id === "now") throw new Error("not now");
        if (ctx.id === "asked") return new Proxy({}, { get: fail }) as never;
        return ctx.id === "later" ? Promise.reject(new Error("not later")) : undefined;
      },
    });
    await using cluster = await TestCluster.start({ nodes: 1, entities: [Broken] });
    const node = cluster.node("n1");
    for (const id of ["state", "now", "later", "asked"]) {
      const error = await cluster.run(errorOf(node.entity(Broken, id).send({ type: "ping" })));
      expect([error.code, error.executed]).toEqual(["ACTIVATION_FAILED", "no"]);
    }
    expect(await cluster.run(node.entity(Broken, "fine").send({ type: "ping" }))).toBe("pong");
  });
});

function fail(): never {
  throw new Error("not when it is asked");
}
