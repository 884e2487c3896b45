/** Nodes that come and go for days: the keys of sessions that were over for long are used again. */
import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import { type NodeCluster, startNode } from "../../src/api/cluster.ts";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { SESSION_FORGOTTEN_MS } from "../../src/base/limits.ts";
import { systemRandom } from "../../src/base/random.ts";
import { embedded } from "../../src/drivers/embedded/index.ts";
import { nats } from "../../src/drivers/nats/index.ts";
import { redis } from "../../src/drivers/redis/index.ts";
import type { ClusterOf, TransportUrl } from "../../src/index.ts";
import type { Authority } from "../../src/ports/authority.ts";
import type { Driver } from "../../src/ports/driver.ts";
import { type SessionRecord, sessionOf } from "../../src/protocol/records.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { Member, RUNTIMES } from "../runtimes/member-process.ts";
import { brokersAreWanted } from "./broker-process.ts";
import { connectPorts, openBucket, SECRET } from "./fixtures.ts";
import { NatsServer } from "./nats-server.ts";
import { Numbers, ran } from "./numbers.ts";
import { freePort, uniqueName } from "./port.ts";
import { RedisServer } from "./redis-server.ts";

const PROGRAM = join(import.meta.dir, "numbers-node.ts");
/** Of sessions that are over, so many are not forgotten. */
const KEPT = 2;
const RESTARTS = 50;
const PATIENCE = { timeoutMs: 30_000 };

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
  ran.length = 0;
});

interface Place {
  readonly url: TransportUrl;
  readonly driver: Driver;
  readonly name: string;
}

/** Where nodes meet, by the names of the drivers. */
const PLACES: Readonly<Record<string, () => Promise<Place>>> = {
  async embedded() {
    const port = await freePort();
    const url = `tcp://127.0.0.1:${port}` as const;
    return { url, driver: embedded({ port }), name: uniqueName("days") };
  },
  async nats() {
    const server = await NatsServer.start();
    ends.push(() => server.stop());
    const place = { url: server.url as TransportUrl, driver: nats(server.url) };
    const name = uniqueName("days");
    await openBucket(place.driver, name);
    return { ...place, name };
  },
  async redis() {
    const server = await RedisServer.start();
    ends.push(() => server.stop());
    const place = { url: server.url as TransportUrl, driver: redis(server.url) };
    return { ...place, name: uniqueName("days") };
  },
};

/** Nodes of this process, whose wall clock a test sets forward. */
class House {
  readonly #place: Place;
  readonly #sessions = new Map<string, SessionRecord>();
  #aheadMs = 0;

  private constructor(place: Place) {
    this.#place = place;
  }

  /** One that hosts what is sent numbers, and an authority that watches all records. */
  static async open(place: Place): Promise<House> {
    const house = new House(place);
    const host = await house.start("host", true);
    ends.push(() => host.stop({ deadline: "2s" }));
    const { authority } = await connectPorts(place.driver, place.name);
    ends.push(() => authority.close());
    await house.#watch(authority);
    return house;
  }

  start(nodeId: string, isHost = false): Promise<NodeCluster> {
    const { url: transport, name } = this.#place;
    const own = { transport, name, nodeId, secret: SECRET, heartbeat: "normal" } as const;
    const clock: Clock = { ...systemClock, wallMs: () => systemClock.wallMs() + this.#aheadMs };
    const world = { clock, random: systemRandom, sessionsKept: KEPT };
    return startNode({ ...own, shardCount: 32, entities: isHost ? [Numbers] : [] }, world);
  }

  /** A day passes, and a node joins and leaves. */
  async restart(n: number): Promise<void> {
    this.#aheadMs += SESSION_FORGOTTEN_MS + 1;
    const node = await this.start(`n${n}`);
    await node.stop();
  }

  /** How many records of sessions there are. */
  get records(): number {
    return this.#sessions.size;
  }

  /** Sessions of a node, and what they are. */
  sessionsOf(nodeId: string): ReadonlyMap<string, SessionRecord["state"]> {
    const own = [...this.#sessions].filter(([, { node }]) => node === nodeId);
    return new Map(own.map(([key, value]) => [sessionOf({ key, value })!, value.state] as const));
  }

  async #watch(authority: Authority): Promise<void> {
    const changed: Parameters<Authority["open"]>[0]["changed"] = (entries) => {
      for (const { key, value } of entries) {
        if (key.startsWith("n.")) this.#sessions.set(key, value as SessionRecord);
      }
    };
    const resynced = ({ entries }: Parameters<Parameters<Authority["open"]>[0]["resynced"]>[0]) =>
      changed(entries);
    changed((await authority.open({ changed, resynced, lost() {} })).entries);
  }
}

/** A process that sends numbers, from when the first has arrived. */
async function sender({ url, name }: Place, nodeId: string): Promise<Member> {
  const [command, ...args] = RUNTIMES.bun.slice(0, -1);
  const member = new Member(nodeId, [command!, ...args, PROGRAM, url, name, nodeId]);
  ends.push(() => member.process.kill("SIGKILL"));
  await member.answer();
  await waitUntil("numbers come", () => ran.length > 0, PATIENCE);
  return member;
}

const DRIVERS = Object.keys(PLACES).filter((name) => name === "embedded" || brokersAreWanted());

test.each(DRIVERS)(
  "%s: nodes that restart for days leave as many records as are kept, and serve",
  async (driver) => {
    const place = await PLACES[driver]!();
    const house = await House.open(place);
    for (let n = 0; n < RESTARTS; n++) await house.restart(n);
    // The host and whoever joined last live, or are over since today.
    expect(house.records).toBeLessThanOrEqual(KEPT + 3);
    const late = await house.start("late");
    ends.push(() => late.stop({ deadline: "2s" }));
    const caller: ClusterOf<typeof Numbers> = late;
    await caller.entity(Numbers, "a").send({ type: "add", from: "late", n: 1 });
    expect(ran).toEqual(["late/1"]);
  },
  60_000,
);

test.each(DRIVERS)(
  "%s: a process that wakes after its key was given away ends as dead, and comes back",
  async (driver) => {
    const place = await PLACES[driver]!();
    const house = await House.open(place);
    const member = await sender(place, "sleeper");
    const [before] = house.sessionsOf("sleeper").keys();
    member.process.kill("SIGSTOP");
    const isDead = (): boolean => house.sessionsOf("sleeper").get(before!) === "dead";
    await waitUntil("its session is over", isDead, PATIENCE);
    for (let n = 0; house.sessionsOf("sleeper").size > 0; n++) await house.restart(n);
    const ranBefore = ran.length;
    member.process.kill("SIGCONT");
    await waitUntil("it is back", () => house.sessionsOf("sleeper").size > 0, PATIENCE);
    expect(house.sessionsOf("sleeper").has(before!)).toBe(false);
    await waitUntil("numbers come again", () => ran.length > ranBefore + 100, PATIENCE);
    expect(new Set(ran).size).toBe(ran.length);
  },
  60_000,
);
