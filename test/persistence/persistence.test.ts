/** Entities whose state outlives their nodes, over the store in memory. */
import { afterEach, describe, expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { CatgaError } from "../../src/base/errors.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { systemRandom } from "../../src/base/random.ts";
import { Cluster, type ClusterOf } from "../../src/index.ts";
import { memory } from "../../src/drivers/memory/index.ts";
import { memoryStore } from "../../src/drivers/memory/store.ts";
import type { DriverContext } from "../../src/ports/driver.ts";
import type { StoreDriver } from "../../src/ports/store.ts";
import { sealRecord } from "../../src/runtime/record.ts";
import { failureOf, stopAll, stopped } from "../drivers/nodes.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { counterOf, spied, Through } from "./kept.ts";

afterEach(stopAll);

const NEVER = new Promise<never>(() => {});

type Node = ClusterOf<typeof Through>;

function start(
  store: StoreDriver,
  { entity = Through, transport = memory() as never, nodeId = "n1" } = {},
): Promise<Node> {
  const options = { name: "kept", nodeId, shardCount: 16, heartbeat: "normal" } as const;
  return stopped(Cluster.start({ ...options, transport, store, entities: [entity] }));
}

describe("an entity with write-through", () => {
  test("is after everything has stopped what it was", async () => {
    const store = memoryStore();
    const first = await start(store);
    expect(await first.entity("counter", "a").send({ type: "add", n: 2 })).toBe(2);
    await first.stop();
    const second = await start(store);
    const look = await second.entity("counter", "a").send({ type: "look" });
    expect(look).toEqual({ count: 2, since: 7, tag: "100000000000000000000" });
    expect(await second.entity("counter", "b").send({ type: "look" })).toMatchObject({ count: 0 });
  });

  test("answers when what it did is stored, and so do queries that have seen it", async () => {
    const { spy, driver } = spied();
    const node = await start(driver);
    const ref = node.entity("counter", "a");
    await ref.send({ type: "add", n: 1 });
    const gate = Promise.withResolvers<void>();
    spy.beforeWrite = () => gate.promise;
    const order: string[] = [];
    const added = ref.send({ type: "add", n: 1 }).then((n) => order.push(`add ${n}`));
    const looked = ref.send({ type: "look" }).then(({ count }) => order.push(`look ${count}`));
    await waitUntil("the write is under way", () => spy.writes === 2);
    // Others go on meanwhile.
    await node.entity("counter", "b").send({ type: "look" });
    expect(order).toEqual([]);
    gate.resolve();
    await Promise.all([added, looked]);
    expect(order).toEqual(["add 2", "look 2"]);
  });

  test("stores many turns, of one entity and of many, in few writes", async () => {
    const { spy, driver } = spied();
    const node = await start(driver);
    const ids = Array.from({ length: 50 }, (_, n) => `e-${n}`);
    await Promise.all(ids.map((id) => node.entity("counter", id).send({ type: "look" })));
    const all = ids.flatMap((id) =>
      Array.from({ length: 20 }, () => node.entity("counter", id).send({ type: "add", n: 1 })),
    );
    await Promise.all(all);
    expect(spy.writes).toBeLessThan(60);
    for (const id of ids) {
      expect(await node.entity("counter", id).send({ type: "look" })).toMatchObject({ count: 20 });
    }
  });

  test("goes on when a write has failed, whether or not it was carried out", async () => {
    for (const when of ["beforeWrite", "afterWrite"] as const) {
      const { spy, driver } = spied();
      const node = await start(driver);
      let failures = 0;
      spy[when] = async () => {
        if (failures++ < 2) throw new Error("the wire is cut");
      };
      const ref = node.entity("counter", "a");
      const answers = [1, 2, 3].map((n) => ref.send({ type: "add", n }));
      expect(await Promise.all(answers)).toEqual([1, 3, 6]);
      await node.stop();
      const again = await start(driver);
      expect(await again.entity("counter", "a").send({ type: "look" })).toMatchObject({ count: 6 });
    }
  });

  test("is stored though the store stumbles over what is written beside it", async () => {
    const { spy, driver } = spied();
    const node = await start(driver);
    spy.refused = "bad";
    const calls = ["a", "bad", "b"].map((id) => {
      const sent = node.entity("counter", id).send({ type: "add", n: 1 }, { timeout: "1s" });
      return sent.catch((error: CatgaError) => error.code);
    });
    expect(await Promise.all(calls)).toEqual([1, "CALL_TIMEOUT", 1]);
  });

  test("that cannot be loaded fails its messages, and is tried again with the next", async () => {
    const { spy, driver } = spied();
    const node = await start(driver);
    const away = new CatgaError("STORE_UNAVAILABLE", { store: "spied", reason: "it is away" });
    spy.beforeLoad = () => Promise.reject(away);
    const ref = node.entity("counter", "a");
    expect(await failureOf(ref.send({ type: "look" }))).toMatchObject({
      code: "STORE_UNAVAILABLE",
    });
    spy.beforeLoad = async () => {};
    expect(await ref.send({ type: "look" })).toMatchObject({ count: 0 });
  });

  test.each([
    ["function", "STATE_NOT_ENCODABLE"],
    ["size", "STATE_TOO_LARGE"],
  ] as const)(
    "whose state cannot be stored (%s) goes back to what is stored",
    async (what, code) => {
      const node = await start(memoryStore());
      const ref = node.entity("counter", "a");
      await ref.send({ type: "add", n: 5 });
      const spoilt = failureOf(ref.send({ type: "spoil", with: what }));
      expect(await spoilt).toMatchObject({
        code,
        executed: "yes",
        details: { entity: "counter/a" },
      });
      expect(await ref.send({ type: "add", n: 1 })).toBe(6);
      // The same for one that waits until it is stored.
      const saved = failureOf(ref.send({ type: "spoil", with: what, saves: true }));
      expect(await saved).toMatchObject({ code });
    },
  );

  test("is another one after delete(), with nothing stored of the first", async () => {
    const store = memoryStore();
    const node = await start(store);
    const ref = node.entity("counter", "a");
    await ref.send({ type: "add", n: 5 });
    await ref.send({ type: "delete" });
    expect(await ref.send({ type: "look" })).toMatchObject({ count: 0 });
    expect(await ref.send({ type: "add", n: 1 })).toBe(1);
    await node.stop();
    const again = await start(store);
    expect(await again.entity("counter", "a").send({ type: "look" })).toMatchObject({ count: 1 });
  });

  test("remembers across a restart what it answered to a key", async () => {
    const store = memoryStore();
    const node = await start(store);
    const keyed = { idempotencyKey: "k" };
    expect(await node.entity("counter", "a").send({ type: "add", n: 1 }, keyed)).toBe(1);
    await node.stop();
    const again = await start(store);
    expect(await again.entity("counter", "a").send({ type: "add", n: 1 }, keyed)).toBe(1);
    expect(await again.entity("counter", "a").send({ type: "look" })).toMatchObject({ count: 1 });
  });

  test("moves to a node that joins and back without being read again", async () => {
    const { spy, driver } = spied();
    const transport = memory() as never;
    const first = await start(driver, { transport });
    const ids = Array.from({ length: 30 }, (_, n) => `e-${n}`);
    const add = (node: Node) =>
      Promise.all(ids.map((id) => node.entity("counter", id).send({ type: "add", n: 1 })));
    await add(first);
    const loads = spy.loads;
    const second = await start(driver, { transport, nodeId: "n2" });
    const owners = () => new Set(ids.map((id) => first.owner("counter", id)?.node));
    await waitUntil("both own some", () => owners().size === 2 && !owners().has(undefined));
    expect(new Set(await add(second))).toEqual(new Set([2]));
    await first.stop();
    expect(new Set(await add(second))).toEqual(new Set([3]));
    expect(spy.loads).toBe(loads);
  });
});

test("a record that is damaged is refused and left as it is; the others are served", async () => {
  const store = memoryStore();
  const node = await start(store);
  await node.entity("counter", "a").send({ type: "add", n: 5 });
  const { shard } = node.owner("counter", "a")!;
  const key = { entity: "counter", id: "a", shard };
  const names = { cluster: "kept", shardCount: 16, clock: systemClock, random: systemRandom };
  const opened = await store.open({ ...names, log: silentLogger, unsafe() {} });
  const { data = "", fence } = (await opened.load(key))!;
  await node.stop();
  const spoilt = [data.slice(0, -9), data.replace("5", "6"), `2${data.slice(1)}`];
  for (const text of ["", ...spoilt, "{}", sealRecord("[")]) {
    const { version: expected } = (await opened.load(key))!;
    await opened.write([{ ...key, expected, fence, data: text, dueMs: undefined }]);
    const again = await start(store);
    const failure = failureOf(again.entity("counter", "a").send({ type: "add", n: 1 }));
    expect(await failure).toMatchObject({
      code: "STATE_CORRUPT",
      details: { entity: "counter/a" },
    });
    await again.entity("counter", "b").send({ type: "add", n: 1 });
    await again.stop();
    expect((await opened.load(key))!.data).toBe(text);
  }
});

test("a node stops within its deadline though its store never answers again", async () => {
  const { spy, driver } = spied();
  const node = await start({
    name: "hung",
    open: async (context) => ({ ...(await driver.open(context)), close: () => NEVER }),
  });
  spy.beforeWrite = () => NEVER;
  const call = failureOf(node.entity("counter", "a").send({ type: "add", n: 1 }));
  await node.stop({ deadline: "500ms" });
  expect(await call).toMatchObject({ code: "OUTCOME_UNKNOWN" });
});

test("a node whose store cannot be opened does not start, and holds nothing open", async () => {
  const refusal = new CatgaError("STORE_UNAVAILABLE", { store: "shut", reason: "it is shut" });
  const store = { name: "shut", open: () => Promise.reject(refusal) };
  const closed: string[] = [];
  const inner = memory();
  const transport = {
    name: "watched",
    connect: async (context: DriverContext) => {
      const { authority, link } = await inner.connect(context);
      return {
        authority: { ...authority, close: async () => void closed.push("authority") },
        link: { ...link, close: async () => void closed.push("link") },
      };
    },
  };
  expect(await failureOf(start(store, { transport: transport as never }))).toBe(refusal);
  expect(closed.sort()).toEqual(["authority", "link"]);
});

test("an owner that finds the record of a later one answers nothing from it", async () => {
  const store = memoryStore();
  const node = await start(store);
  const names = { cluster: "kept", shardCount: 16, clock: systemClock, random: systemRandom };
  const opened = await store.open({ ...names, log: silentLogger, unsafe() {} });
  const { shard } = node.owner("counter", "a")!;
  const later = { expected: 0, fence: "9".repeat(33), data: undefined, dueMs: undefined };
  await opened.write([{ entity: "counter", id: "a", shard, ...later }]);
  const failure = failureOf(node.entity("counter", "a").send({ type: "look" }));
  expect(await failure).toMatchObject({ code: "UNAVAILABLE" });
});

describe("a state of another version", () => {
  test("is migrated when it is older, and refused, not overwritten, when it is newer", async () => {
    const store = memoryStore();
    const one = await start(store);
    await one.entity("counter", "a").send({ type: "add", n: 5 });
    await one.stop();
    const two = await start(store, { entity: counterOf("write-through", 2) });
    expect(await two.entity("counter", "a").send({ type: "look" })).toMatchObject({ count: 1_005 });
    expect(await two.entity("counter", "a").send({ type: "add", n: 1 })).toBe(1_006);
    await two.stop();
    const old = await start(store);
    const failure = failureOf(old.entity("counter", "a").send({ type: "add", n: 1 }));
    const details = { entity: "counter/a", ours: 1, theirs: 2 };
    expect(await failure).toMatchObject({ code: "STATE_TOO_NEW", details });
    await old.stop();
    const again = await start(store, { entity: counterOf("write-through", 2) });
    expect(await again.entity("counter", "a").send({ type: "look" })).toMatchObject({
      count: 1_006,
    });
  });
});

describe("an entity with write-behind", () => {
  const Behind = counterOf("write-behind");

  test("answers before it is stored, and is stored when its node stops", async () => {
    const { spy, driver } = spied();
    const node = await start(driver, { entity: Behind });
    for (let n = 1; n <= 5; n++) {
      expect(await node.entity("counter", "a").send({ type: "add", n: 1 })).toBe(n);
    }
    expect(spy.writes).toBe(0);
    await node.stop();
    expect(spy.writes).toBe(1);
    const again = await start(driver, { entity: Behind });
    expect(await again.entity("counter", "a").send({ type: "look" })).toMatchObject({ count: 5 });
  });

  test("is stored when it asks for it, and else within a second", async () => {
    const { spy, driver } = spied();
    const node = await start(driver, { entity: Behind });
    expect(await node.entity("counter", "a").send({ type: "save", n: 2 })).toBe(2);
    expect(spy.writes).toBe(1);
    await node.entity("counter", "a").send({ type: "add", n: 1 });
    await waitUntil("it is stored", () => spy.writes === 2);
  });
});
