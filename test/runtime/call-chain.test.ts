/** Calls that wait for each other: real nodes in simulated time. */
import { describe, expect, test } from "bun:test";
import { command, defineEntity, isCatgaError, query } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";

/** Where to go from here; `ask` are queries, `leave` sends without waiting. */
interface Trip {
  readonly path: readonly string[];
}

/** Ends what a turn of an entity waits for beside its calls. */
const release = new Map<string, () => void>();
const held = (id: string): Promise<void> => new Promise((resolve) => release.set(id, resolve));

/** How a call ended, for the entity that sent it. */
function told(error: unknown): string[] {
  if (isCatgaError(error, "CALL_CYCLE")) return [error.details.cycle];
  if (isCatgaError(error)) return [error.code];
  throw error;
}

const messages = {
  pass: command<Trip, string[]>(),
  ask: query<Trip, string[]>(),
  askThenPass: query<Trip, string[]>(),
  leave: command<Trip & { readonly holds?: boolean }, string>(),
  hold: command(),
  log: query<void, readonly string[]>(),
};

function travellers<const N extends string>(name: N, reentrant: boolean) {
  return defineEntity(name, {
    messages,
    reentrant,
    state: () => ({ log: [] as string[], inside: 0 }),
    handlers: {
      async pass(ctx, { path: [next, ...path] }) {
        ctx.state.log.push("in");
        const found = next === undefined ? [] : await go(ctx.peer(next), { type: "pass", path });
        ctx.state.log.push("out");
        return [ctx.id, ...found];
      },
      async ask(ctx, { path: [next, ...path] }) {
        const peer = ctx.entity({ name, messages }, next ?? "");
        return [ctx.id, ...(next === undefined ? [] : await go(peer, { type: "ask", path }))];
      },
      async askThenPass(ctx, { path: [next, ...path] }) {
        return [
          ctx.id,
          ...(await go(ctx.entity({ name, messages }, next!), { type: "pass", path })),
        ];
      },
      async leave(ctx, { path: [next, ...path], holds }) {
        left.push(go(ctx.peer(next!), { type: "pass", path }));
        if (holds === true) await held(ctx.id);
        return ctx.id;
      },
      hold: (ctx) => held(ctx.id),
      log: (ctx) => ctx.state.log,
    },
  });
}

/** What was left alone. */
const left: Promise<string[]>[] = [];

interface Peer {
  send(message: { readonly type: "pass" | "ask"; readonly path: string[] }): Promise<string[]>;
}

const go = (peer: Peer, message: { type: "pass" | "ask"; path: string[] }): Promise<string[]> =>
  peer.send(message).catch(told);

const Walker = travellers("walker", false);
const Guest = travellers("guest", true);

async function start(nodes = 3) {
  left.length = 0;
  release.clear();
  return TestCluster.start({ nodes, entities: [Walker, Guest], heartbeat: "relaxed" });
}

/** So long a cycle takes at most, far below any deadline. */
const SOON_MS = 1_000;

describe("a cycle fails at once", () => {
  for (const nodes of [1, 3]) {
    const where = nodes === 1 ? "within a node" : "across nodes";
    test.each([
      [1, ["1"], "walker/1 → walker/1"],
      [2, ["2", "1"], "walker/1 → walker/2 → walker/1"],
      [3, ["2", "3", "1"], "walker/1 → walker/2 → walker/3 → walker/1"],
      [2, ["2", "3", "2"], "walker/2 → walker/3 → walker/2"],
    ])(`of %d, ${where}`, async (_, path, cycle) => {
      await using cluster = await start(nodes);
      const beganMs = cluster.nowMs;
      const walker = cluster.node("n1").entity(Walker, "1");
      const found = await cluster.run(walker.send({ type: "pass", path }));
      expect(found).toEqual(["1", ...path.slice(0, -1), cycle]);
      expect(cluster.nowMs - beganMs).toBeLessThan(SOON_MS);
      // Everybody goes on.
      expect(await cluster.run(walker.send({ type: "pass", path: ["2", "3"] }))).toHaveLength(3);
    });
  }

  test("while the shard is about to move", async () => {
    await using cluster = await start(1);
    const walker = cluster.node("n1").entity(Walker, "1");
    const path = Array.from({ length: 12 }, (_, n) => `${n}`);
    const trip = walker.send({ type: "pass", path: [...path, "1"] });
    await cluster.join("n2");
    const beganMs = cluster.nowMs;
    expect((await cluster.run(trip)).at(-1)).toMatch(/walker\/1 → .* → walker\/1/);
    expect(cluster.nowMs - beganMs).toBeLessThan(SOON_MS);
  });

  test("when a query waits for a command of its own entity", async () => {
    await using cluster = await start();
    const walker = cluster.node("n1").entity(Walker, "1");
    expect(await cluster.run(walker.send({ type: "askThenPass", path: ["1"] }))).toEqual([
      "1",
      "walker/1 → walker/1",
    ]);
  });

  test("says that the handler did not run, in the words of the entities", async () => {
    await using cluster = await start();
    const walker = cluster.node("n1").entity(Walker, "1");
    await cluster.run(walker.send({ type: "pass", path: ["2", "1"] }));
    const log = await cluster.run(walker.send({ type: "log" }));
    expect(log).toEqual(["in", "out"]);
  });
});

describe("no cycle is found", () => {
  test("where queries of one entity run beside each other", async () => {
    await using cluster = await start();
    const walker = cluster.node("n1").entity(Walker, "1");
    const path = ["2", "1", "2", "1"];
    expect(await cluster.run(walker.send({ type: "ask", path }))).toEqual(["1", ...path]);
  });

  test("where a query passes commands that came since its chain began", async () => {
    await using cluster = await start();
    const walker = cluster.node("n1").entity(Walker, "1");
    const asked = walker.send({ type: "ask", path: ["2", "3", "1"] });
    const passed = walker.send({ type: "pass", path: [] });
    expect(await cluster.run(asked)).toEqual(["1", "2", "3", "1"]);
    expect(await cluster.run(passed)).toEqual(["1"]);
  });

  test("where the turn that sent is over", async () => {
    await using cluster = await start();
    const walker = cluster.node("n1").entity(Walker, "1");
    await cluster.run(walker.send({ type: "leave", path: ["2", "3", "1"] }));
    expect(await cluster.run(left[0]!)).toEqual(["2", "3", "1"]);
  });

  test("where that turn is over and another one runs", async () => {
    await using cluster = await start();
    const walker = cluster.node("n1").entity(Walker, "1");
    await cluster.run(walker.send({ type: "leave", path: ["2", "3", "1"] }));
    const holding = walker.send({ type: "hold" });
    await cluster.advance(SOON_MS);
    release.get("1")!();
    await cluster.run(holding);
    expect(await cluster.run(left[0]!)).toEqual(["2", "3", "1"]);
  });
});
