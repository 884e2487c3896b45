/** Who may join at a Redis server, how it is named, and what else may live there. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { createServer, type Server } from "node:net";
import { Redis } from "ioredis";
import { exportEntities } from "../../src/backup/index.ts";
import { redis, type RedisOptions } from "../../src/drivers/redis/index.ts";
import { Cluster, isCatgaError } from "../../src/index.ts";
import { settledRedis } from "./fixtures.ts";
import { freePort, uniqueName } from "./port.ts";
import {
  adopt,
  allOwn,
  countAll,
  join,
  keepingLog,
  type Place,
  placeAt,
  seesCount,
  stopAll,
} from "./broker-nodes.ts";
import { Through } from "../persistence/kept.ts";
import { brokersAreWanted } from "./broker-process.ts";
import { RedisServer } from "./redis-server.ts";

const IDS = ["a b", "{x}", "}:{", "*", "Zürich 東京", "%0A", "a:b", "$(id)"];

type RedisDriver = ReturnType<typeof redis>;

/** As README names them. */
const RIGHTS =
  "+ping +info +eval +xread +publish +subscribe " +
  "+hget +hset +hdel +hgetall +hincrby +del +xadd +zadd +zrem +zrangebyscore " +
  "+hsetnx +hscan +hlen +evalsha";

describe("options of Redis that cannot be meant are refused", () => {
  test.each<[string | RedisOptions]>([
    ["http://127.0.0.1"],
    ["redis://127.0.0.1/a"],
    ["redis://127.0.0.1/0?db=1"],
    ["127.0.0.1:6379"],
    ["redis://a:%@127.0.0.1"],
    ["redis://%E0%A4@127.0.0.1"],
    [{ prefix: "{a}" }],
    [{ prefix: "a b" }],
    [{ prefix: "" }],
    [{ hots: "x" } as RedisOptions],
  ])("%j", (options) => {
    expect(() => redis(options)).toThrow(TypeError);
  });
  test("and a password is not part of the text", () => {
    for (const url of ["redis://:hunter2@127.0.0.1/x", "redis://%:hunter2@127.0.0.1"])
      expect(() => redis(url)).toThrow(/^(?!.*hunter2)/);
  });
});

describe.if(brokersAreWanted())("a server of Redis", () => {
  let server: RedisServer;
  const more: RedisServer[] = [];
  beforeAll(async () => {
    server = await RedisServer.start("--requirepass", "pass word");
  });
  afterAll(() => server.stop());
  afterEach(async () => {
    await stopAll();
    for (const each of more.splice(0)) await each.stop();
  });

  const at = () => ({ port: server.port, password: "pass word" });

  test("that is not there is BROKER_UNREACHABLE", async () => {
    const port = await freePort();
    const details = { address: `127.0.0.1:${port}` };
    await refused({ port }, { code: "BROKER_UNREACHABLE", executed: "no", details });
  });

  test("that wants another password, or one at all, is BROKER_REFUSED", async () => {
    const { port } = server;
    await refused({ port }, { code: "BROKER_REFUSED" });
    await refused({ port, password: "wrong" }, { code: "BROKER_REFUSED" });
    await refused({ port, username: "who", password: "x" }, { code: "BROKER_REFUSED" });
    await refused({ url: `redis://:wrong@127.0.0.1:${port}` }, { code: "BROKER_REFUSED" });
  });

  test("is reached by its URL alone", async () => {
    const open = await RedisServer.start();
    more.push(open);
    const cluster = await Cluster.start(`redis://127.0.0.1:${open.port}`);
    expect(cluster.nodes).toHaveLength(1);
    await cluster.stop();
    const refusing = Cluster.start(`redis://127.0.0.1:${server.port}`);
    expect(await refusing.catch((error: unknown) => isCatgaError(error) && error.code)).toBe(
      "BROKER_REFUSED",
    );
  });

  test("that is a replica is BROKER_READ_ONLY", async () => {
    const primary = await RedisServer.start();
    const replica = await RedisServer.start("--replicaof", `127.0.0.1 ${primary.port}`);
    more.push(primary, replica);
    await refused({ port: replica.port }, { code: "BROKER_READ_ONLY" });
  });

  test("that is older than 6.2 is BROKER_TOO_OLD", async () => {
    const port = await freePort();
    const old = await speaking(port, "redis_version:5.0.14\r\nrole:master\r\n");
    const broker = `Redis 5.0.14 at 127.0.0.1:${port}`;
    const details = { broker, purpose: "join", minimum: "6.2" };
    await refused({ port }, { code: "BROKER_TOO_OLD", details });
    old.close();
  });

  test("that forgets is used, and that is said", async () => {
    const forgetful = await RedisServer.start("--appendonly", "no");
    more.push(forgetful);
    const log = keepingLog();
    await join(placeAt(settledRedis(forgetful)), "a", { log });
    expect(log.lines.join()).toContain("appendonly yes");
    const safe = keepingLog();
    await join(placeAt(settledRedis(server, at())), "a", { log: safe });
    expect(safe.lines).toEqual([]);
  });

  test("holds a cluster's keys and channels under its name, whatever users name", async () => {
    const place = placeAt(settledRedis(server, at()));
    const nodes = [await join(place, "a"), await join(place, "b")];
    await seesCount(nodes[0]!, 2);
    for (const node of nodes) await countAll(node, IDS);
    const names = [
      ...((await server.ask("KEYS", "*")) as string[]),
      ...((await server.ask("PUBSUB", "CHANNELS")) as string[]),
    ];
    const own = names.filter((name) => name.startsWith(`{catga:${place.name}}:`));
    expect(own.length).toBeGreaterThan(3);
    // All else is of clusters of other tests.
    expect(names.filter((name) => !name.startsWith("{catga:broker-"))).toEqual([]);
    expect(await countAll(nodes[0]!, IDS)).toEqual(IDS.map(() => 3));
  });

  test("is enough with the rights that the documentation names, and no other", async () => {
    const place = placeAt(settledRedis(server, { ...at(), username: "node", password: "secret" }));
    const names = `{catga:${place.name}}:*`;
    const rights = `on >secret ~${names} &${names} -@all ${RIGHTS}`.split(" ");
    await server.ask("ACL", "SETUSER", "node", "reset", ...rights);
    const nodes = [await join(place, "a"), await join(place, "b")];
    await allOwn(nodes, IDS);
    expect(await countAll(nodes[0]!, IDS)).toEqual(IDS.map(() => 1));
    const keeping = { ...place, nodeId: "c", shardCount: 32, entities: [Through] };
    const keeper = adopt(await Cluster.start(keeping));
    expect(await keeper.entity("counter", "a").send({ type: "add", n: 1 })).toBe(1);
    const backup = { store: place.transport as RedisDriver, name: place.name };
    expect(await Array.fromAsync(exportEntities(backup))).toHaveLength(3);
    const stranger = { ...place, name: uniqueName("redis") };
    await refusedAt(stranger, { code: "BROKER_REFUSED" });
  });

  test("carries clusters of one name and different prefixes, which never meet", async () => {
    const name = uniqueName("redis");
    const [one, other] = [
      { ...at(), prefix: "one" },
      { ...at(), prefix: "other" },
    ];
    const first = await join({ transport: settledRedis(server, one), name }, "a");
    const second = await join({ transport: settledRedis(server, other), name }, "a");
    expect(await countAll(first, IDS)).toEqual(IDS.map(() => 1));
    expect(await countAll(second, IDS)).toEqual(IDS.map(() => 1));
    expect(first.nodes).toHaveLength(1);
  });

  test("is reached by the settings of a ready client, which is left alone", async () => {
    const client = new Redis({ ...at(), db: 3, keyPrefix: "mine:", lazyConnect: true });
    const place = placeAt(settledRedis(server, { client }));
    const nodes = [await join(place, "a"), await join(place, "b")];
    const ids = Array.from({ length: 20 }, (_, n) => `${n}`);
    await allOwn(nodes, ids);
    expect(await countAll(nodes[0]!, ids)).toEqual(ids.map(() => 1));
    for (const node of nodes) await node.stop();
    expect(client.status).toBe("wait");
    client.disconnect();
  });

  test("that drops the subscriptions of nodes loses no message", async () => {
    const place = placeAt(settledRedis(server, at()));
    const nodes = [await join(place, "a"), await join(place, "b")];
    const ids = Array.from({ length: 20 }, (_, n) => `${n}`);
    await allOwn(nodes, ids);
    for (let round = 1; round < 8; round++) {
      const counts = countAll(nodes[round % 2]!, ids);
      await server.ask("CLIENT", "KILL", "TYPE", "pubsub");
      expect(await counts).toEqual(ids.map(() => round));
    }
  }, 15_000);
});

async function refused(options: RedisOptions, expected: object): Promise<void> {
  await refusedAt(placeAt(redis(options)), expected);
}

async function refusedAt(place: Place, expected: object): Promise<void> {
  const error: unknown = await join(place, "a").then(
    () => "joined",
    (reason: unknown) => reason,
  );
  expect(isCatgaError(error)).toBe(true);
  expect(error).toMatchObject(expected);
}

/** A server that answers everything with `text`. */
async function speaking(port: number, text: string): Promise<Server> {
  const old = createServer((socket) => {
    socket.on("error", () => {});
    // One answer for each command of the protocol that came: they begin with a star.
    socket.on("data", (bytes: Buffer) => {
      const count = bytes.toString().match(/^\*/gm)?.length ?? 0;
      socket.write(`$${text.length}\r\n${text}\r\n`.repeat(count));
    });
  });
  await new Promise<void>((resolve) => void old.listen(port, "127.0.0.1", resolve));
  return old;
}
