import { describe, expect, test } from "bun:test";
import { CatgaError, Cluster, command, defineEntity, type Logger, query } from "../../src/index.ts";
import { startVirtual, VirtualClock } from "./virtual-node.ts";

/** Answers when the test says so. */
class Gate {
  readonly #opened = Promise.withResolvers<void>();
  readonly open = (): void => this.#opened.resolve();
  readonly passed: Promise<void> = this.#opened.promise;
}

const seen: string[] = [];
const gates = new Map<string, Gate>();

function gate(name: string): Gate {
  const made = new Gate();
  gates.set(name, made);
  return made;
}

const Probe = defineEntity("probe", {
  messages: {
    wait: command<{ gate: string }, string>(),
    look: query<{ gate: string }, string>(),
    note: command<{ text: string }>(),
    fail: command<void, never>(),
    again: command<void, string>(),
    leave: command(),
    later: command<{ text: string }>(),
    keep: command<{ value: number }, { value: number }>(),
    flood: command(),
    kept: query<void, { readonly values: readonly number[] }>(),
  },
  state: () => ({ values: [] as number[], turns: 0 }),
  idle: "10m",
  mailboxCapacity: 4,
  handlers: {
    async wait(_ctx, m) {
      seen.push(`wait ${m.gate}`);
      await gates.get(m.gate)?.passed;
      seen.push(`waited ${m.gate}`);
      return m.gate;
    },
    async look(_ctx, m) {
      seen.push(`look ${m.gate}`);
      await gates.get(m.gate)?.passed;
      seen.push(`looked ${m.gate}`);
      return m.gate;
    },
    note: (_ctx, m) => void seen.push(m.text),
    fail() {
      throw new RangeError("no more");
    },
    // A message to oneself waits for the turn that sends it: sending is fine, awaiting it is not.
    async again(ctx) {
      await ctx.peer(ctx.id).tell({ type: "note", text: "told myself" });
      return "sent";
    },
    leave: (ctx) => ctx.passivate(),
    later: (ctx, m) => void ctx.after("1m", { type: "note", text: m.text }),
    keep(ctx, m) {
      ctx.state.values.push(m.value);
      return m;
    },
    flood(ctx) {
      ctx.state.turns++;
    },
    kept: (ctx) => ctx.state,
  },
  activated: (ctx) => void seen.push(`activated ${ctx.id}`),
  deactivated: (ctx, reason) => void seen.push(`deactivated ${ctx.id} ${reason}`),
});

async function start(): Promise<Awaited<ReturnType<typeof startVirtual>>> {
  seen.length = 0;
  gates.clear();
  return startVirtual({ entities: [Probe], heartbeat: "normal" });
}

/** The error that `promise` ends with. */
async function errorOf(promise: Promise<unknown>): Promise<CatgaError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(CatgaError);
  return error as CatgaError;
}

describe("a mailbox", () => {
  test("runs commands one after the other in the order they came", async () => {
    const { clock, entity } = await start();
    const [a, b] = [gate("a"), gate("b")];
    const ref = entity(Probe, "1");
    const both = Promise.all([
      ref.send({ type: "wait", gate: "a" }),
      ref.send({ type: "wait", gate: "b" }),
    ]);
    b.open();
    await clock.advance(50);
    expect(seen).toEqual(["activated 1", "wait a"]);
    a.open();
    expect(await clock.until(both)).toEqual(["a", "b"]);
    expect(seen).toEqual(["activated 1", "wait a", "waited a", "wait b", "waited b"]);
  });

  test("runs queries beside queries, and a command only alone", async () => {
    const { clock, entity } = await start();
    const [q, r] = [gate("q"), gate("r")];
    const ref = entity(Probe, "1");
    const all = Promise.all([
      ref.send({ type: "look", gate: "q" }),
      ref.send({ type: "look", gate: "r" }),
      ref.send({ type: "wait", gate: "c" }),
      ref.send({ type: "look", gate: "l" }),
    ]);
    await clock.advance(50);
    expect(seen).toEqual(["activated 1", "look q", "look r"]);
    r.open();
    q.open();
    await clock.until(all);
    expect(seen.slice(-4)).toEqual(["wait c", "waited c", "look l", "looked l"]);
  });

  test("refuses one message too many, and takes messages again when there is room", async () => {
    const { clock, entity } = await start();
    const a = gate("a");
    const ref = entity(Probe, "1");
    const first = ref.send({ type: "wait", gate: "a" });
    const waiting = Array.from({ length: 4 }, (_, n) => ref.tell({ type: "note", text: `${n}` }));
    const error = await errorOf(ref.tell({ type: "note", text: "one too many" }));
    expect([error.code, error.executed]).toEqual(["MAILBOX_FULL", "no"]);
    expect(error.details).toEqual({ entity: "probe/1", capacity: 4 });
    a.open();
    await clock.until(Promise.all([first, ...waiting]));
    await clock.until(ref.send({ type: "note", text: "room again" }));
    expect(seen.slice(-5)).toEqual(["0", "1", "2", "3", "room again"]);
  });

  test("goes on after a handler that throws", async () => {
    const { clock, entity } = await start();
    const error = await errorOf(entity(Probe, "1").send({ type: "fail" }));
    expect([error.code, error.executed]).toEqual(["HANDLER_FAILED", "yes"]);
    expect(error.details).toMatchObject({ name: "RangeError", text: "no more" });
    await clock.until(entity(Probe, "1").send({ type: "note", text: "next" }));
    expect(seen.at(-1)).toBe("next");
  });

  test("lets an entity tell itself something", async () => {
    const { clock, entity } = await start();
    expect(await clock.until(entity(Probe, "1").send({ type: "again" }))).toBe("sent");
    await clock.advance(10);
    expect(seen.at(-1)).toBe("told myself");
  });
});

describe("a deadline", () => {
  test("fails the caller of a handler that never ends, and only the caller", async () => {
    const { clock, entity } = await start();
    const a = gate("a");
    const ref = entity(Probe, "1");
    const stuck = errorOf(ref.send({ type: "wait", gate: "a" }, { timeout: "2s" }));
    const behind = errorOf(ref.send({ type: "note", text: "behind" }, { timeout: 500 }));
    await clock.advance(2_100);
    const [late, unrun] = [await stuck, await behind];
    expect([late.code, late.executed]).toEqual(["CALL_TIMEOUT", "maybe"]);
    expect([unrun.code, unrun.executed]).toEqual(["CALL_TIMEOUT", "no"]);
    a.open();
    await clock.until(ref.send({ type: "note", text: "after" }));
    expect(seen.slice(-2)).toEqual(["waited a", "after"]);
  });

  test("is no shorter than what was asked for", async () => {
    const { clock, entity } = await start();
    gate("a");
    let isOver = false;
    const call = entity(Probe, "1").send({ type: "wait", gate: "a" }, { timeout: "1s" });
    const over = errorOf(call).finally(() => (isOver = true));
    await clock.advance(999);
    expect(isOver).toBe(false);
    await clock.advance(20);
    expect(isOver).toBe(true);
    expect((await over).code).toBe("CALL_TIMEOUT");
  });

  test("is not needed by a caller who gives up", async () => {
    const { clock, entity } = await start();
    gate("a");
    const controller = new AbortController();
    const ref = entity(Probe, "1");
    const running = errorOf(ref.send({ type: "wait", gate: "a" }, { signal: controller.signal }));
    const waiting = errorOf(
      ref.send({ type: "note", text: "never" }, { signal: controller.signal }),
    );
    await clock.advance(1);
    controller.abort();
    expect([(await running).code, (await running).executed]).toEqual(["CANCELLED", "maybe"]);
    expect([(await waiting).code, (await waiting).executed]).toEqual(["CANCELLED", "no"]);
    gates.get("a")?.open();
    await clock.advance(10);
    expect(seen).not.toContain("never");
  });
});

describe("an activation", () => {
  test("leaves memory when it was idle for its time, and comes back anew", async () => {
    const { clock, entity } = await start();
    await clock.until(entity(Probe, "1").send({ type: "keep", value: 7 }));
    await clock.advance(599_000);
    await clock.until(entity(Probe, "1").send({ type: "note", text: "used" }));
    await clock.advance(599_000);
    expect(seen).not.toContain("deactivated 1 idle");
    await clock.advance(3_000);
    expect(seen.at(-1)).toBe("deactivated 1 idle");
    expect(await clock.until(entity(Probe, "1").send({ type: "kept" }))).toMatchObject({
      values: [],
    });
  });

  test("leaves memory when it asks to, and what waits meets the next one", async () => {
    const { clock, entity } = await start();
    const ref = entity(Probe, "1");
    await clock.until(
      Promise.all([ref.send({ type: "leave" }), ref.send({ type: "note", text: "next" })]),
    );
    expect(seen).toEqual(["activated 1", "deactivated 1 idle", "activated 1", "next"]);
  });

  test("stays for a timer, which fires once", async () => {
    const { clock, entity } = await start();
    await clock.until(entity(Probe, "1").send({ type: "later", text: "fired" }));
    await clock.advance(59_000);
    expect(seen).toEqual(["activated 1"]);
    await clock.advance(120_000);
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
        return ctx.id === "later" ? Promise.reject(new Error("not later")) : undefined;
      },
    });
    const { clock, entity } = await startVirtual({ entities: [Broken] });
    for (const id of ["state", "now", "later"]) {
      const error = await clock.until(errorOf(entity(Broken, id).send({ type: "ping" })));
      expect([error.code, error.executed]).toEqual(["ACTIVATION_FAILED", "no"]);
    }
    expect(await clock.until(entity(Broken, "fine").send({ type: "ping" }))).toBe("pong");
  });
});

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
    const clock = new VirtualClock();
    const Busy = defineEntity("busy", {
      messages: { work: command<{ n: number }>() },
      state: () => ({}),
      handlers: {
        work(_ctx, m) {
          clock.block(4);
          order.push(`turn ${m.n}`);
        },
      },
    });
    const { entity } = await startVirtual({ entities: [Busy], clock, heartbeat: "relaxed" });
    await clock.advance(1);
    clock.after(1, () => order.push("timer"));
    const ref = entity(Busy, "1");
    // Each of these is awaited only when it is accepted, as a loop of tells would be.
    const flood = (async () => {
      for (let n = 1; n <= TURNS; n++) await ref.tell({ type: "work", n });
    })();
    await clock.until(flood);
    await clock.advance(20);
    expect(order.indexOf("timer")).toBeLessThan(order.indexOf(`turn ${TURNS}`));
    expect(order.filter((each) => each !== "timer")).toEqual(
      Array.from({ length: TURNS }, (_, n) => `turn ${n + 1}`),
    );
  });

  test("does not begin a turn under a lapsed lease, and goes on when it holds again", async () => {
    const clock = new VirtualClock();
    const warned: string[] = [];
    const log: Logger = {
      debug() {},
      info() {},
      warn: (_fields, text) => void warned.push(text),
      error: (_fields, text) => void warned.push(text),
    };
    const node = await startVirtual({ entities: [Probe], clock, log, heartbeat: "fast" });
    seen.length = 0;
    await clock.until(node.entity(Probe, "1").send({ type: "note", text: "held" }));
    clock.block(5_000);
    const sent = node.entity(Probe, "1").send({ type: "note", text: "after the lapse" });
    await Promise.resolve();
    expect(seen.at(-1)).toBe("held");
    await clock.until(sent);
    expect(seen.at(-1)).toBe("after the lapse");
    expect(warned).toEqual([]);
  });
});
