/** A Redis server that dies, hangs, forgets or goes back in time: nobody acts on what is not so. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { redis } from "../../src/drivers/redis/index.ts";
import type { Authority, Snapshot } from "../../src/ports/authority.ts";
import { change, record } from "../contracts/seat.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { connectPorts, settledRedis } from "./fixtures.ts";
import { uniqueName } from "./port.ts";
import { Proxy } from "./proxy.ts";
import {
  allOwn,
  countAll,
  IDS,
  join,
  neverTwoCopies,
  placeAt,
  seesCount,
  stopAll,
  type WitnessNode,
} from "./broker-nodes.ts";
import { brokersAreWanted } from "./broker-process.ts";
import { RedisServer } from "./redis-server.ts";

describe.if(brokersAreWanted())("a server of Redis", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start();
  });
  afterAll(() => server.stop());
  afterEach(stopAll);

  async function three(
    place = placeAt(settledRedis(server)),
  ): Promise<[WitnessNode, WitnessNode, WitnessNode]> {
    const nodes: WitnessNode[] = [];
    for (const id of ["a", "b", "c"]) nodes.push(await join(place, id));
    await allOwn(nodes);
    expect(await countAll(nodes[0]!)).toEqual(IDS.map(() => 1));
    return nodes as [WitnessNode, WitnessNode, WitnessNode];
  }

  test("that is killed and comes back with its data costs no memory", async () => {
    const [a, b, c] = await three();
    for (let round = 2; round < 5; round++) {
      await server.kill();
      const during = countAll(b);
      await server.resume();
      expect(await during).toEqual(IDS.map(() => round));
    }
    expect(await countAll(c)).toEqual(IDS.map(() => 5));
    await seesCount(a, 3);
    neverTwoCopies();
  }, 30_000);

  test("that stands still for longer than a lease suspends, and costs no memory", async () => {
    const [a, b, c] = await three();
    await server.kill("SIGSTOP");
    await waitUntil("nobody acts", async () => {
      const tried = [a, b, c].map((node) => isServed(node));
      return !(await Promise.all(tried)).includes(true);
    });
    await server.kill("SIGCONT");
    const counts = await countAll(b);
    expect(await countAll(c)).toEqual(counts.map((count) => count + 1));
    expect(Math.min(...counts)).toBeGreaterThan(1);
    await seesCount(a, 3);
    neverTwoCopies();
  }, 30_000);

  test("that is emptied under its nodes makes them begin anew", async () => {
    const nodes = await three();
    await server.ask("FLUSHALL");
    await beganAnew(nodes);
  }, 30_000);

  test("that comes back without its data makes them begin anew", async () => {
    const nodes = await three();
    await server.kill();
    server.wipe();
    await server.resume();
    await beganAnew(nodes);
  }, 30_000);

  test("that goes back in time makes them begin anew", async () => {
    const place = placeAt(settledRedis(server));
    const nodes = await three(place);
    const state = `{catga:${place.name}}:state`;
    const before = (await server.ask("HGETALL", state)) as string[];
    const revision = Number(before[before.indexOf("ver") + 1]);
    await countAll(nodes[0]);
    await waitUntil("there is something to forget", async () => {
      return Number(await server.ask("HGET", state, "ver")) > revision + 20;
    });
    await server.ask("HSET", state, ...before);
    await server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    await beganAnew(nodes);
    expect(await server.ask("HGET", state, "gen")).not.toBe(before[before.indexOf("gen") + 1]);
  }, 30_000);

  test("that hangs up all the time carries each change out once", async () => {
    const { authority } = await connectPorts(settledRedis(server), uniqueName("hung-up"));
    const listener = { changed() {}, resynced() {}, lost() {} };
    await authority.open(listener);
    let revision = 0;
    for (let n = 0; n < 100; n++) {
      const wanted = change("i.counter", revision, record(`${n}`));
      const asked = insist(() => authority.casMany([wanted]));
      // Before the change has come, while it is carried out, or when its answer is on its way.
      if (n % 4 === 0) await server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
      const [result] = await asked;
      expect(result!.ok).toBe(true);
      revision = result!.ok ? result!.revision : 0;
    }
    // Each took one revision: none was carried out twice.
    expect(revision).toBe(100);
    await authority.close();
  }, 30_000);

  test("that is emptied while one node is cut off from it has no two live copies", async () => {
    const proxy = await Proxy.to(server.port);
    const place = placeAt(settledRedis(server, { port: proxy.port }));
    const cutOff = await join(place, "cut-off", { heartbeat: "normal" });
    const id = IDS[0]!;
    expect(await countAll(cutOff, [id])).toEqual([1]);
    proxy.block();
    await server.ask("FLUSHALL");
    const joining = join({ ...place, transport: redis(server.url) }, "new", {
      heartbeat: "normal",
    });
    const joined: WitnessNode[] = [];
    const arrived = joining.then((node) => (joined[0] = node));
    // The one acts as long as its lease runs; the other one as soon as it has joined.
    let acted = 1;
    while (joined.length === 0) {
      if (await isServed(cutOff, id)) acted++;
    }
    expect(acted).toBeGreaterThan(2);
    const counts = Promise.all([countAll(await arrived, [id]), isServed(cutOff, id)]);
    expect(await counts).toEqual([[1], false]);
    proxy.unblock();
    await seesCount(await arrived, 2);
    expect(await countAll(cutOff, [id])).toEqual([2]);
    neverTwoCopies();
    await stopAll();
    proxy.close();
  }, 40_000);

  test("that was started again keeps its records while members go on writing", async () => {
    const cluster = uniqueName("gate");
    const ports: Authority[] = [];
    for (let n = 0; n < 3; n++) {
      const { authority } = await connectPorts(settledRedis(server), cluster);
      await authority.open({ changed() {}, resynced() {}, lost() {} });
      ports.push(authority);
    }
    const state = `{catga:${cluster}}:state`;
    await server.ask("HSET", state, "gate", "closed");
    await server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    // And on for a while: each of them opens it.
    for (let n = 0, more = 100; more > 0; n++) {
      const write = (port: Authority, i: number): Promise<unknown> => {
        const wanted = Array.from({ length: 10 }, (_, k) => change(`i.${i}-${n}-${k}`, 0));
        return insist(() => port.casMany(wanted));
      };
      await Promise.all(ports.map(write));
      if ((await server.ask("HEXISTS", state, "gate")) === 0) more--;
    }
    expect(await server.ask("HGET", state, "gen")).toBe("1");
    for (const port of ports) await port.close();
  }, 30_000);

  test("that is empty lets nobody in before the longest lease of others is over", async () => {
    const driver = redis(server.url);
    const cluster = uniqueName("empty");
    const began = performance.now();
    const snapshots = await Promise.all([opened(), opened()]);
    expect(performance.now() - began).toBeGreaterThan(3_000);
    expect(snapshots[0].generation).toBe(snapshots[1].generation);
    // Nobody waits who comes later.
    expect((await opened()).generation).toBe(snapshots[0].generation);
    expect(await server.ask("HGET", `{catga:${cluster}}:state`, "gate")).toBeNull();

    async function opened(): Promise<Snapshot> {
      const { authority } = await connectPorts(driver, cluster);
      const snapshot = await authority.open({ changed() {}, resynced() {}, lost() {} });
      await authority.close();
      return snapshot;
    }
  }, 30_000);
});

/** After another generation all began anew, and go on together. */
async function beganAnew([a, b, c]: readonly WitnessNode[]): Promise<void> {
  const counts = (): Promise<number[]> => countAll(b!).catch(() => []);
  await waitUntil("the entities began anew", async () => ((await counts())[0] ?? 9) < 3, {
    timeoutMs: 15_000,
  });
  for (const node of [a!, b!, c!]) await seesCount(node, 3);
  const before = await countAll(a!);
  expect(await countAll(c!)).toEqual(before.map((count) => count + 1));
  neverTwoCopies();
}

/** True when an entity of `node` answers soon. */
function isServed(
  node: WitnessNode,
  id = IDS.find((each) => node.owner("witness", each)?.node === node.nodeId)!,
): Promise<boolean> {
  const options = { timeout: "50ms" } as const;
  const sent = node.entity("witness", id).send({ type: "count" }, options);
  return sent.then(
    () => true,
    () => false,
  );
}

/** Tries until it succeeds: a rejection of an authority means unknown. */
async function insist<T>(attempt: () => Promise<T>): Promise<T> {
  const answers: T[] = [];
  await waitUntil("the authority answers", async () => {
    answers.push(
      ...(await attempt().then(
        (answer) => [answer],
        () => [],
      )),
    );
    return answers.length > 0;
  });
  return answers[0]!;
}
