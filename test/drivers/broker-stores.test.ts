/** Stores at a broker that dies, hangs, forgets or loses answers: nothing is overwritten. */
import { afterEach, describe, expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { isCatgaError } from "../../src/base/errors.ts";
import { nats } from "../../src/drivers/nats/index.ts";
import { redis } from "../../src/drivers/redis/index.ts";
import type { Store, StoreContext, StoreDriver } from "../../src/ports/store.ts";
import {
  everything,
  fence,
  loaded,
  put,
  someKey,
  versionOf,
  writeOne,
  written,
} from "../contracts/kept.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { brokersAreWanted } from "./broker-process.ts";
import { NatsServer } from "./nats-server.ts";
import { uniqueName } from "./port.ts";
import { Proxy } from "./proxy.ts";
import { RedisServer } from "./redis-server.ts";
import { openStore } from "./store-fixture.ts";
import { insist, reasonOf, unlessAway } from "./store-outage.ts";

type Server = NatsServer | RedisServer;

const BROKERS: readonly {
  readonly name: string;
  readonly start: () => Promise<Server>;
  readonly driver: (port: number) => StoreDriver;
}[] = [
  {
    name: "nats",
    start: () => NatsServer.start(),
    driver: (port) => nats(`nats://127.0.0.1:${port}`),
  },
  {
    name: "redis",
    // Else it answers before it writes at all, where its disk is busy.
    start: () => RedisServer.start("--appendfsync", "always"),
    driver: (port) => redis(`redis://127.0.0.1:${port}`),
  },
];
const WHERE = { entity: "cart", shard: 3 };
const PATIENCE = { timeoutMs: 15_000 };
const NO_MORE = 40_000;

const yes = (): boolean => true;
const no = (): boolean => false;

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

async function proxyTo(server: Server): Promise<Proxy> {
  const proxy = await Proxy.to(server.port);
  ends.push(async () => proxy.close());
  return proxy;
}

describe.if(brokersAreWanted()).each([...BROKERS])("the store at $name", ({ start, driver }) => {
  async function serve(): Promise<Server> {
    const server = await start();
    ends.push(() => server.stop());
    return server;
  }

  const cluster = uniqueName("stores");
  async function open(
    { port }: { readonly port: number },
    context: Partial<StoreContext> = {},
  ): Promise<Store> {
    const store = await openStore(driver(port), cluster, context);
    ends.push(() => store.close());
    return store;
  }

  test(
    "that dies again and again keeps what it has acknowledged, and carries each write out once",
    async () => {
      const server = await serve();
      const store = await open(server);
      const keys = Array.from({ length: 8 }, () => someKey(WHERE));
      const load = { isOver: false };
      const counts = keys.map(async (key) => {
        let [count, version] = [0, 0];
        while (!load.isOver) {
          const data = `${count + 1}`;
          const write = put(key, { expected: version, data, dueMs: (count % 3) + 1 });
          const result = await writeOne(store, write).catch(unlessAway);
          if (result === undefined) version = await versionAt(store, key, `${count}`, data);
          else version = versionOf(result);
          count = Number((await insist(() => store.load(key)))?.data ?? 0);
          // What was acknowledged is there; what was not may be, once.
          expect([data, result === undefined ? `${Number(data) - 1}` : data]).toContain(`${count}`);
        }
        return count;
      });
      for (const signal of ["SIGKILL", "SIGTERM", "SIGKILL"] as const) {
        const before = await everything(store);
        await waitUntil("something was written", async () => {
          const now = await everything(store);
          return now.length === keys.length && now.every(isBeyond(before));
        });
        await server.kill(signal);
        await server.resume();
      }
      load.isOver = true;
      const last = await Promise.all(counts);
      const late = await open(server);
      for (const [i, key] of keys.entries()) {
        expect((await loaded(late, key))?.data).toBe(last[i] === 0 ? undefined : `${last[i]}`);
      }
      const due = await late.due(WHERE, 3, 100);
      expect(due.map(({ id }) => id).toSorted()).toEqual(keys.map(({ id }) => id).toSorted());
    },
    NO_MORE,
  );

  test(
    "whose answers are lost is asked again, and each write is carried out once",
    async () => {
      const server = await serve();
      const proxy = await proxyTo(server);
      const [store, beside] = [await open(proxy), await open(server)];
      const key = someKey(WHERE);
      let version = await written(store, put(key, { data: "0" }));
      for (let n = 1; n <= 12; n++) {
        const writing = writeOne(store, put(key, { expected: version, data: `${n}` }));
        // Before it has come, while it is carried out, when its answer is on its way, or lost.
        if (n % 4 === 0) {
          proxy.deafen("toClient");
          await waitUntil("it is there", async () => {
            return (await loaded(beside, key))?.data === `${n}`;
          });
        } else await new Promise<void>((resolve) => void systemClock.after(n % 4, resolve));
        proxy.end();
        version = versionOf(await writing);
        expect(await loaded(beside, key)).toEqual({ version, fence: fence(1), data: `${n}` });
      }
      expect(proxy.spoilt.ended).toBeGreaterThan(0);
    },
    NO_MORE,
  );

  test.each([
    ["lost says so", "STORE_UNAVAILABLE"],
    ["late waits for it", "written"],
  ] as const)(
    "whose answer is %s when somebody has written since",
    async (what, expected) => {
      const server = await serve();
      const proxy = await proxyTo(server);
      const [store, beside] = [await open(proxy), await open(server)];
      const key = someKey(WHERE);
      const version = await written(store, put(key));
      await beside.load(key);
      if (what === "lost says so") proxy.deafen("toClient");
      // Longer than NATS is waited for, so it is asked again meanwhile.
      else proxy.delay(1_000);
      const writing = writeOne(store, put(key, { expected: version, data: "ours" }));
      const outcome = writing.then(
        (result) => (result.ok ? "written" : "refused"),
        (error: unknown) => (isCatgaError(error) ? error.code : "?"),
      );
      await waitUntil("it was carried out", async () => {
        return (await loaded(beside, key))?.data === "ours";
      });
      const ours = (await loaded(beside, key))!.version;
      const theirs = put(key, { expected: ours, fence: fence(2), data: "theirs" });
      await written(beside, theirs);
      if (what === "lost says so") proxy.end();
      else proxy.delay(0);
      expect(await outcome).toBe(expected);
      expect((await loaded(beside, key))?.data).toBe("theirs");
    },
    NO_MORE,
  );

  test(
    "that hangs or is away is unavailable, with the reason, and is used again when it is there",
    async () => {
      const server = await serve();
      const store = await open(server);
      const key = someKey(WHERE);
      let version = await written(store, put(key));
      for (const [gone, back] of [
        [() => server.kill("SIGSTOP"), () => server.kill("SIGCONT")],
        [() => server.kill(), () => server.resume()],
      ] as const) {
        await gone();
        await waitUntil("nobody answers", () => store.load(key).then(no, yes), PATIENCE);
        const failed = await Promise.all([
          reasonOf(store.write([put(key, { expected: version })])),
          reasonOf(store.due(WHERE, 1, 1)),
          reasonOf(store.page()),
        ]);
        for (const reason of failed) expect(reason).toMatch(/\w/);
        await back();
        // What was given up may still be carried out.
        await waitUntil(
          "it is used again",
          async () => {
            const found = await store.load(key).catch(unlessAway);
            const write = put(key, { expected: found?.version ?? 0, data: "again" });
            const result = await writeOne(store, write).catch(unlessAway);
            if (result?.ok) version = result.version;
            return result?.ok === true;
          },
          PATIENCE,
        );
      }
    },
    NO_MORE,
  );

  test(
    "that goes back in time refuses whoever remembers more, and overwrites nothing",
    async () => {
      const server = await serve();
      const [ours, theirs] = [await open(server), await open(server)];
      const [key, fresh] = [someKey(WHERE), someKey(WHERE)];
      const old = await written(ours, put(key, { data: "old", dueMs: 7 }));
      await server.kill();
      server.backUp();
      await server.resume();
      const found = await insist(() => ours.load(key));
      expect(found?.version).toBe(old);
      const forgotten = await written(ours, put(key, { expected: old, data: "forgotten" }));
      const lost = await written(ours, put(fresh, { data: "forgotten" }));
      await server.kill();
      server.goBack();
      await server.resume();
      // The broker gives the next numbers to others.
      expect((await insist(() => theirs.load(key)))?.data).toBe("old");
      const now = await written(theirs, put(key, { expected: old, data: "now" }));
      const since = await written(theirs, put(fresh, { data: "now" }));
      const [first, second] = await ours.write([
        put(key, { expected: forgotten, data: "overwritten" }),
        put(fresh, { expected: lost, data: "overwritten" }),
      ]);
      const current = { fence: fence(1), data: "now" };
      expect(first).toEqual({ ok: false, current: { ...current, version: now } });
      expect(second).toEqual({ ok: false, current: { ...current, version: since } });
      await written(ours, put(key, { expected: now, data: "next" }));
    },
    NO_MORE,
  );

  test(
    "names nobody too few when a late writer says the same time as the owner, and is refused",
    async () => {
      const server = await serve();
      const [zombie, owner] = [await open(server), await open(server)];
      const key = someKey(WHERE);
      const version = await written(zombie, put(key));
      const now = await written(owner, put(key, { expected: version, fence: fence(2), dueMs: 5 }));
      const late = await writeOne(zombie, put(key, { expected: version, dueMs: 5 }));
      expect(late.ok).toBe(false);
      expect(await owner.due(WHERE, 5, 9)).toContainEqual({ id: key.id, dueMs: 5 });
      const next = put(key, { expected: now, fence: fence(2), dueMs: 9 });
      await written(owner, next);
      expect(await owner.due(WHERE, 9, 9)).toContainEqual({
        id: key.id,
        dueMs: expect.any(Number),
      });
      await waitUntil("what is no more is not named", async () => {
        const due = await owner.due(WHERE, 9, 9);
        return due.length === 1 && due[0]!.dueMs === 9;
      });
    },
    NO_MORE,
  );
});

/** The version of a record that is one of two texts, of which the first may be nothing. */
async function versionAt(
  store: Store,
  key: ReturnType<typeof someKey>,
  ...texts: readonly string[]
): Promise<number> {
  const found = await insist(() => store.load(key));
  expect(texts).toContain(found?.data ?? "0");
  return found?.version ?? 0;
}

function isBeyond(
  before: readonly { readonly id: string; readonly version: number }[],
): (now: { readonly id: string; readonly version: number }) => boolean {
  const versions = new Map(before.map(({ id, version }) => [id, version]));
  return ({ id, version }) => version > (versions.get(id) ?? 0);
}
