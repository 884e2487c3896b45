/** Entities that move with their shards: real nodes in virtual time. */
import { describe, expect, test } from "bun:test";
import { type AnyEntity, command, defineEntity, query } from "../../src/index.ts";
import { memory } from "../../src/drivers/memory/index.ts";
import { startVirtual, VirtualClock, type VirtualNode } from "./virtual-node.ts";

const IDS = Array.from({ length: 24 }, (_, n) => `e-${n}`);

interface State {
  count: number;
  readonly names: Set<string>;
  readonly sizes: Map<string, bigint>;
  readonly since: Date;
  readonly bytes: Uint8Array;
  odd?: unknown;
}

/** What hooks and handlers saw, in order. */
const seen: string[] = [];
/** Ends the turn of `wait` in an entity. */
const release = new Map<string, () => void>();

const Box = defineEntity("box", {
  messages: {
    add: command<{ n: number }, number>(),
    wait: command<void, number>(),
    later: command<{ ms: number }>(),
    spoil: command(),
    look: query<void, { count: number; kept: readonly string[]; node: string; fence: string }>(),
  },
  state: (): State => ({
    count: 0,
    names: new Set(["a"]),
    sizes: new Map([["a", 10n ** 20n]]),
    since: new Date(5),
    bytes: Uint8Array.of(1, 2),
  }),
  activated: (ctx) => void seen.push(`${ctx.id} in ${ctx.node}`),
  deactivated: (ctx, reason) => void seen.push(`${ctx.id} out ${ctx.node} ${reason}`),
  handlers: {
    add: (ctx, { n }) => (ctx.state.count += n),
    async wait(ctx) {
      await new Promise<void>((resolve) => release.set(ctx.id, resolve));
      return ++ctx.state.count;
    },
    later: (ctx, { ms }) => void ctx.after(ms, { type: "add", n: 100 }),
    spoil: (ctx) => void (ctx.state.odd = () => 1),
    look(ctx) {
      const { count, names, sizes, since, bytes } = ctx.state;
      const kept = [...names, String(sizes.get("a")), since.toISOString(), String(bytes.length)];
      const { fence } = ctx as unknown as { fence: string };
      return { count, kept, node: ctx.node, fence };
    },
  },
});

interface Two {
  readonly clock: VirtualClock;
  readonly first: VirtualNode;
  readonly join: (nodeId: string, hosts?: readonly AnyEntity[]) => Promise<VirtualNode>;
  readonly errors: string[];
}

async function start(): Promise<Two> {
  seen.length = 0;
  release.clear();
  const clock = new VirtualClock();
  const transport = memory();
  const errors: string[] = [];
  const error = (_: object, message: string): void => void errors.push(message);
  const log = { debug() {}, info() {}, warn() {}, error };
  const join: Two["join"] = (nodeId, entities = [Box]) =>
    startVirtual({ clock, transport, entities, nodeId, heartbeat: "relaxed", log });
  return { clock, first: await join("n1"), join, errors };
}

function look({ entity }: VirtualNode, id: string): Promise<{ count: number; node: string }> {
  return entity(Box, id).send({ type: "look" });
}

const nodesOf = async (node: VirtualNode): Promise<string[]> =>
  (await Promise.all(IDS.map((id) => look(node, id)))).map((each) => each.node);

describe("an entity that moves", () => {
  test("goes on with its state, its hooks run on both sides, and its fence rises", async () => {
    const { clock, first, join } = await start();
    for (const [n, id] of IDS.entries()) {
      await clock.until(first.entity(Box, id).send({ type: "add", n }));
    }
    const before = await clock.until(first.entity(Box, IDS[0]!).send({ type: "look" }));
    const second = await join("n2");
    await clock.advance(1_000);
    const nodes = await clock.until(nodesOf(second));
    expect(new Set(nodes)).toEqual(new Set(["n1", "n2"]));
    for (const [n, id] of IDS.entries()) {
      const { count, kept, fence } = await clock.until(
        first.entity(Box, id).send({ type: "look" }),
      );
      expect(count).toBe(n);
      expect(kept).toEqual(["a", "100000000000000000000", "1970-01-01T00:00:00.005Z", "2"]);
      expect(fence > before.fence).toBe(nodes[n] === "n2");
    }
    const moved = IDS.filter((_, n) => nodes[n] === "n2");
    for (const id of moved) {
      const path = seen.filter((line) => line.startsWith(`${id} `));
      expect(path).toEqual([`${id} in n1`, `${id} out n1 moved`, `${id} in n2`]);
    }
    expect(seen.filter((line) => line.includes("out")).length).toBe(moved.length);
  });

  test("brings its timers", async () => {
    const { clock, first, join } = await start();
    await clock.until(
      Promise.all(IDS.map((id) => first.entity(Box, id).send({ type: "later", ms: 5_000 }))),
    );
    const second = await join("n2");
    await clock.advance(4_000);
    expect(new Set(await clock.until(nodesOf(second))).size).toBe(2);
    for (const id of IDS) expect((await clock.until(look(second, id))).count).toBe(0);
    await clock.advance(2_000);
    for (const id of IDS) expect((await clock.until(look(second, id))).count).toBe(100);
  });

  test("brings the messages that wait for it, whoever sent them, in their order", async () => {
    const { clock, first, join } = await start();
    const caller = await join("caller", []);
    const answers: Promise<unknown>[] = [];
    for (const id of IDS) answers.push(first.entity(Box, id).send({ type: "wait" }));
    await clock.advance(5);
    for (const node of [first, caller]) {
      for (const id of IDS) {
        answers.push(node.entity(Box, id).send({ type: "add", n: 1 }));
        answers.push(node.entity(Box, id).tell({ type: "add", n: 1 }));
      }
    }
    await clock.advance(20);
    const second = await join("n2");
    await clock.advance(60);
    // The shards are sealed and wait; now the turns end.
    for (const end of release.values()) end();
    await clock.until(Promise.all(answers));
    await clock.advance(1_000);
    expect(new Set(await clock.until(nodesOf(second))).size).toBe(2);
    for (const id of IDS) expect((await clock.until(look(caller, id))).count).toBe(5);
  });

  test("waits while it has a long turn, and so do none of its neighbours", async () => {
    const { clock, first, join } = await start();
    await clock.until(Promise.all(IDS.map((id) => look(first, id))));
    const waits = IDS.map((id) => first.entity(Box, id).send({ type: "wait" }, { timeout: "1h" }));
    const second = await join("n2");
    await clock.advance(5_000);
    expect(seen.filter((line) => line.includes("out"))).toEqual([]);
    const fresh = second.entity(Box, "neighbour").send({ type: "add", n: 1 });
    expect(await clock.until(fresh)).toBe(1);
    for (const end of release.values()) end();
    expect(await clock.until(Promise.all(waits))).toEqual(IDS.map(() => 1));
    await clock.advance(1_000);
    expect(new Set(await clock.until(nodesOf(second))).size).toBe(2);
  });

  test("stays when its state cannot travel, until its node leaves; that is reported", async () => {
    const { clock, first, join, errors } = await start();
    await clock.until(Promise.all(IDS.map((id) => first.entity(Box, id).send({ type: "spoil" }))));
    const second = await join("n2");
    await clock.advance(2_000);
    expect(new Set(await clock.until(nodesOf(second)))).toEqual(new Set(["n1"]));
    expect(new Set(errors)).toEqual(
      new Set(["a shard stays: the state of an entity cannot travel"]),
    );
    errors.length = 0;
    await clock.until(first.node.stop(10_000));
    expect(new Set(await clock.until(nodesOf(second)))).toEqual(new Set(["n2"]));
    expect(errors).toEqual(IDS.map(() => "an entity is lost: its state cannot travel"));
  });

  test("goes with a node that leaves", async () => {
    const { clock, first, join } = await start();
    const second = await join("n2");
    await clock.advance(1_000);
    await clock.until(
      Promise.all(IDS.map((id) => first.entity(Box, id).send({ type: "add", n: 7 }))),
    );
    const stopped = first.node.stop(10_000);
    const during = IDS.map((id) => second.entity(Box, id).send({ type: "add", n: 1 }));
    expect(await clock.until(Promise.all(during))).toEqual(IDS.map(() => 8));
    await clock.until(stopped);
    expect(new Set(await clock.until(nodesOf(second)))).toEqual(new Set(["n2"]));
    for (const id of IDS) expect((await clock.until(look(second, id))).count).toBe(8);
  });
});
