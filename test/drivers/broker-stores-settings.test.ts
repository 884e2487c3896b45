/** Stores at a broker whose settings may cost what it has acknowledged: it is refused, or said. */
import { afterEach, describe, expect, test } from "bun:test";
import {
  DiscardPolicy,
  jetstreamManager,
  StorageType,
  type StreamConfig,
} from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { isCatgaError } from "../../src/base/errors.ts";
import { nats } from "../../src/drivers/nats/index.ts";
import { redis } from "../../src/drivers/redis/index.ts";
import { Cluster, command, defineEntity } from "../../src/index.ts";
import { adopt, stopAll } from "./broker-nodes.ts";
import { brokersAreWanted } from "./broker-process.ts";
import { failureOf } from "./nodes.ts";
import { NatsServer } from "./nats-server.ts";
import { uniqueName } from "./port.ts";
import { RedisServer } from "./redis-server.ts";
import { openStore } from "./store-fixture.ts";

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await stopAll();
  for (const end of ends.splice(0).toReversed()) await end();
});

const Kept = defineEntity("kept", {
  messages: { touch: command() },
  persistence: "write-through",
  state: () => ({}),
  handlers: { touch() {} },
});

/** What a node says that keeps its entities at a server with these settings. */
async function saidOf(...options: readonly string[]): Promise<string[]> {
  const server = await RedisServer.start(...options);
  ends.push(() => server.stop());
  const name = uniqueName("settings");
  const store = redis(server.url);
  const starting = Cluster.start({ transport: "memory", name, store, entities: [Kept] });
  const node = adopt(await starting);
  const said: string[] = [];
  node.on("unsafe", ({ what }) => said.push(what));
  await Promise.resolve();
  return said.map((each) => each.replace(`127.0.0.1:${server.port}`, "it"));
}

const FORGETS =
  "Redis at it forgets the stored state of entities when it dies, all since its last snapshot: " +
  "set appendonly yes";
const LATE =
  "Redis at it answers before its disk has a write, and may forget the last ones when it dies: " +
  "set appendfsync always";
const DROPS =
  "Redis at it may drop records when its memory is short: set maxmemory-policy noeviction";

describe.if(brokersAreWanted())("a store at Redis", () => {
  test.each([
    [["--appendfsync", "always"], []],
    [["--appendfsync", "everysec"], [LATE]],
    [["--appendfsync", "no"], [LATE]],
    [["--appendonly", "no"], [FORGETS]],
    [["--appendonly", "no", "--save", "60", "1"], [FORGETS]],
    [
      ["--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru"],
      [LATE, DROPS],
    ],
    [
      ["--maxmemory", "1gb", "--maxmemory-policy", "volatile-ttl"],
      [LATE, DROPS],
    ],
    [["--maxmemory-policy", "allkeys-lru"], [LATE]],
    [["--maxmemory", "1gb"], [LATE]],
  ] as const)("with the settings %j is used, and says %j", async (options, said) => {
    expect(await saidOf(...options)).toEqual([...said]);
  });
});

describe.if(brokersAreWanted())("a store at NATS", () => {
  const wrong: readonly [string, Partial<StreamConfig>][] = [
    ["storage", { storage: StorageType.Memory }],
    ["discard", { discard: DiscardPolicy.Old, max_bytes: 100_000 }],
    ["max_age", { max_age: 60_000_000_000 }],
    ["max_msgs_per_subject", { max_msgs_per_subject: 2 }],
  ];
  test.each(wrong)("refuses a bucket that may lose records by its %s", async (setting, config) => {
    const server = await NatsServer.start();
    ends.push(() => server.stop());
    const admin = await connect({ servers: server.url.slice("nats://".length) });
    ends.push(() => admin.close());
    const { streams } = await jetstreamManager(admin);
    const bucket = "catga_settings_store";
    const sound = { discard: DiscardPolicy.New, max_msgs_per_subject: 1 };
    const name = `KV_${bucket}`;
    await streams.add({ name, subjects: [`$KV.${bucket}.>`], ...sound, ...config });
    const failure = await failureOf(openStore(nats(server.url), "settings"));
    if (!isCatgaError(failure, "SETTINGS_DIFFER")) throw failure;
    expect(failure.details.setting).toBe(`${setting} of stream ${name}`);
  });
});
