/** Calls that wait for each other: real nodes in simulated time. */
import { describe, expect, test } from "bun:test";
import { memory } from "../../src/drivers/memory/index.ts";
import { Cluster, command, defineEntity, isCatgaError, query } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";

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
  /** Tells `to` to pass, through another one. */
  note: command<{ readonly to: string; readonly through?: string }>(),
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
      async note(ctx, { to, through }) {
        if (through === undefined) return ctx.peer(to).tell({ type: "pass", path: [] });
        await ctx.peer(through).send({ type: "note", to });
        ctx.state.log.push("told");
      },
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

async function start(nodes = 3, heartbeat: "relaxed" | "fast" = "relaxed") {
  left.length = 0;
  release.clear();
  const entities = [Walker, Guest] as const;
  const cluster = await TestCluster.start({ nodes, entities, heartbeat });
  // Every node owns its part by then: walker 1 lives on n2, walker 3 on n3, as three nodes have it.
  await cluster.advance("1s");
  return cluster;
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

  test("in what is told, for nobody waits for it", async () => {
    await using cluster = await start();
    const walker = cluster.node("n1").entity(Walker, "1");
    await cluster.run(walker.send({ type: "note", to: "1", through: "2" }));
    expect(await cluster.run(walker.send({ type: "log" }))).toEqual(["told", "in", "out"]);
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
    const kept = cluster.node("n1").entity(Walker, "2").send({ type: "hold" });
    await cluster.advance("100ms");
    await cluster.run(walker.send({ type: "leave", path: ["2", "3", "1"] }));
    const holding = walker.send({ type: "hold" });
    await cluster.advance("100ms");
    release.get("2")!();
    await cluster.run(kept);
    await cluster.advance(SOON_MS);
    release.get("1")!();
    await cluster.run(holding);
    expect(await cluster.run(left[0]!)).toEqual(["2", "3", "1"]);
  });
});

test("a turn of an owner that died is none of the next owner", async () => {
  await using cluster = await start(3, "fast");
  const at = (id: string) => cluster.node("n1").entity(Walker, id);
  const holding = at("2").send({ type: "hold" });
  const lost = at("1")
    .send({ type: "pass", path: ["2", "1"] })
    .catch(told);
  await cluster.advance("200ms");
  cluster.kill("n2");
  await cluster.advance("3s");
  const other = at("1").send({ type: "leave", path: ["3"], holds: true });
  await cluster.advance("200ms");
  release.get("2")!();
  await cluster.run(holding);
  await cluster.advance("200ms");
  release.get("1")!();
  await cluster.run(other);
  expect(await cluster.run(lost)).toEqual(["OUTCOME_UNKNOWN"]);
  expect(await cluster.run(at("1").send({ type: "log" }))).toEqual(["in", "out"]);
});

test("a chain travels with the message that moves with its entity", async () => {
  await using cluster = await start(2);
  const ids = Array.from({ length: 120 }, (_, n) => `w-${n}`);
  const at = (id: string) => cluster.node("n1").entity(Walker, id);
  const holding = Promise.all(ids.map((id) => at(id).send({ type: "hold" })));
  const trips = Promise.all(
    ids.map((id) => at(`to ${id}`).send({ type: "pass", path: [id, `to ${id}`] })),
  );
  await cluster.join("n3");
  // Some end while their shard is sealed: what waits for them goes along.
  for (const id of ids) {
    release.get(id)!();
    await cluster.advance("7ms");
  }
  await cluster.run(holding);
  const found = await cluster.run(trips);
  expect(found).toEqual(
    ids.map((id) => [`to ${id}`, id, `walker/to ${id} → walker/${id} → walker/to ${id}`]),
  );
});

test("on real nodes a cycle fails, and a reentrant entity answers", async () => {
  const options = { transport: memory() as never, shardCount: 64, entities: [Walker, Guest] };
  await using first = await Cluster.start({ ...options, nodeId: "n1" });
  await using second = await Cluster.start({ ...options, nodeId: "n2" });
  const ids = Array.from({ length: 30 }, (_, n) => `${n}`);
  const owners = (): Set<unknown> => new Set(ids.map((id) => first.owner("walker", id)?.node));
  await waitUntil("both nodes own walkers", () => owners().size === 2);
  const send = (name: "walker" | "guest") =>
    Promise.all(
      ids.map((id, n) =>
        (n % 2 === 0 ? first : second)
          .entity(name, id)
          .send({ type: "pass", path: [`${n + 1}`, "far", id] })
          .then((found) => found.at(-1)),
      ),
    );
  for (const [n, id] of ids.entries()) {
    const trip = first.entity(Walker, id).send({ type: "pass", path: [`${n + 1}`, id] });
    expect((await trip).at(-1)).toBe(`walker/${id} → walker/${n + 1} → walker/${id}`);
  }
  expect(await send("guest")).toEqual(ids);
});
