/** The drivers as the contracts see them: a fixture is one authority, network or cluster. */
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { systemRandom } from "../../src/base/random.ts";
import { embedded } from "../../src/drivers/embedded/index.ts";
import type { Certificates } from "../../src/ports/certificates.ts";
import { fixed } from "../../src/drivers/fixed/index.ts";
import { readList } from "../../src/drivers/fixed/list.ts";
import { memory } from "../../src/drivers/memory/index.ts";
import { memoryStore } from "../../src/drivers/memory/store.ts";
import { nats } from "../../src/drivers/nats/index.ts";
import { redis, type RedisOptions } from "../../src/drivers/redis/index.ts";
import type { StoreDriver } from "../../src/ports/store.ts";
import type { Driver, Ports } from "../../src/ports/driver.ts";
import { incarnationOf } from "../../src/protocol/ids.ts";
import { authorityContract } from "../contracts/authority.contract.ts";
import { type Case, casesOf } from "../contracts/check.ts";
import { clusterContract } from "../contracts/cluster.contract.ts";
import { mediatorContract } from "../contracts/mediator.contract.ts";
import { linkContract } from "../contracts/link.contract.ts";
import type { ClusterFixture } from "../contracts/probes.ts";
import type { AuthorityFixture } from "../contracts/seat.ts";
import type { LinkFixture } from "../contracts/station.ts";
import { ownCertificate } from "./certificates.ts";
import { freePort, uniqueName } from "./port.ts";
import type { RedisServer } from "./redis-server.ts";
import { storeCases } from "./store-fixture.ts";

/** Says what is proved to be known; its text does not matter. */
export const SECRET = "a secret of tests";
const LEASE_MS = 3_000;
/** More than any contract opens. */
const STATIONS_MAX = 8;
/** A lease that nobody has to wait for. */
const OPENING_MS = 10;

/** A driver for nodes of `cluster`. */
type MakeDriver = (cluster: string) => Promise<Driver>;

interface NodeOfTest {
  readonly secret: string;
  readonly leaseMs: number;
  readonly nodeId: string;
}

/** Ports of a new node of `cluster`, not opened yet. */
export async function connectPorts(
  driver: Driver,
  cluster: string,
  { secret = SECRET, leaseMs = LEASE_MS, nodeId = "node" }: Partial<NodeOfTest> = {},
): Promise<Ports & { readonly incarnation: string }> {
  const incarnation = incarnationOf(nodeId, systemClock.wallMs(), systemRandom);
  const world = { clock: systemClock, random: systemRandom, log: silentLogger, unsafe() {} };
  const node = { cluster, nodeId, incarnation, secret, leaseMs, shardCount: 32, entities: [] };
  const ports = await driver.connect({ ...node, ...world });
  return { ...ports, incarnation };
}

/** All contracts over the memory driver. */
export function memoryCases(): Case[] {
  return [
    ...casesOfDriver("memory", async () => memory()),
    ...storeCases("memory", async () => memoryStore()),
  ];
}

/** All contracts over the embedded driver. */
export function embeddedCases(): Case[] {
  return casesOfDriver("embedded", async () => embedded({ port: await freePort() }));
}

/**
 * The contracts of link and cluster over a fixed list, in plain text and over TLS; its authority
 * decides nothing.
 */
export function fixedCases(): Case[] {
  const tls = ownCertificate();
  return [
    ...casesOf("fixed link", linkContract, () => fixedLinkFixture()),
    ...casesOf("fixed cluster", clusterContract, () => fixedClusterFixture()),
    ...casesOf("fixed mediator", mediatorContract, () => fixedClusterFixture()),
    ...casesOf("fixed TLS link", linkContract, () => fixedLinkFixture(tls)),
    ...casesOf("fixed TLS cluster", clusterContract, () => fixedClusterFixture(tls)),
  ];
}

async function fixedClusterFixture(tls?: Certificates): Promise<ClusterFixture> {
  const { ids, options } = await listOf(2);
  const meeting = tls === undefined ? options : { ...options, tls };
  return { meeting, nodeIds: [ids[0]!, ids[1]!], close: async () => {} };
}

/** A list of so many nodes of this machine, none of which runs. */
export async function listOf(count: number): Promise<{
  readonly ids: readonly string[];
  readonly options: Required<Pick<ClusterFixture["meeting"], "nodes" | "name" | "secret">> & {
    readonly heartbeat: "normal";
  };
}> {
  const ports = await Promise.all(Array.from({ length: count }, freePort));
  const nodes = ports.map((port) => `http://127.0.0.1:${port}`);
  const name = uniqueName("fixed");
  const ids = readList(nodes).map(({ node }) => node);
  return { ids, options: { nodes, name, secret: SECRET, heartbeat: "normal" } };
}

async function fixedLinkFixture(tls?: Certificates): Promise<LinkFixture> {
  const list = readList((await listOf(STATIONS_MAX)).options.nodes);
  const free = list.map(({ node }) => node);
  return network(
    async () => fixed(list, tls),
    () => free.shift()!,
  );
}

/** All contracts over the NATS driver and the server at `url`. */
export function natsCases(url: () => string): Case[] {
  const contracts = casesOfDriver("nats", async (cluster) => {
    const driver = nats(url());
    await openBucket(driver, cluster);
    return driver;
  });
  return [...contracts, ...storeCases("nats", async () => nats(url()))];
}

/**
 * Opens the bucket of `cluster` before its first node does, which would wait for as long as a node
 * under a bucket before may act. Nobody has been there before.
 */
export async function openBucket(driver: Driver, cluster: string): Promise<void> {
  const { authority, link } = await connectPorts(driver, cluster, { leaseMs: OPENING_MS });
  await authority.open({ changed() {}, resynced() {}, lost() {} });
  await authority.close();
  await link.close();
}

/** All contracts over the Redis driver at `server`. */
export function redisCases(server: () => RedisServer): Case[] {
  const contracts = casesOfDriver("redis", async () => settledRedis(server()));
  return [...contracts, ...storeCases("redis", async () => redis(server().url))];
}

/**
 * The Redis driver for clusters that have met there before: whoever comes to an empty server waits,
 * which is a test of its own.
 */
export function settledRedis(
  server: RedisServer,
  options: RedisOptions = { url: server.url },
): Driver & StoreDriver {
  const driver = redis(options);
  const db = `${options.client?.options.db ?? 0}`;
  return {
    name: driver.name,
    open: (context) => driver.open(context),
    async connect(context) {
      const { run_id: run } = factsOf(String(await server.ask("INFO", "server")));
      await server.ask("SELECT", db);
      const state = `{${options.prefix ?? "catga"}:${context.cluster}}:state`;
      const isNew = (await server.ask("HSETNX", state, "gen", "1")) === 1;
      if (isNew) await server.ask("HSET", state, "ver", "0", "last", "0", "run", run ?? "");
      return driver.connect(context);
    },
  };
}

function factsOf(info: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Array.from(info.matchAll(/^(\w+):(.*?)\r?$/gm), ([, name, value]) => [name, value]),
  );
}

function casesOfDriver(name: string, make: MakeDriver): Case[] {
  return [
    ...casesOf(`${name} authority`, authorityContract, () => authorityFixture(make)),
    ...casesOf(`${name} link`, linkContract, () => linkFixture(make)),
    ...casesOf(`${name} cluster`, clusterContract, () => clusterFixture(make)),
    ...casesOf(`${name} mediator`, mediatorContract, () => clusterFixture(make)),
  ];
}

async function authorityFixture(make: MakeDriver): Promise<AuthorityFixture> {
  const all = await network(make);
  return {
    join: async () => (await all.join()).authority,
    close: () => all.close(),
  };
}

async function linkFixture(make: MakeDriver): Promise<LinkFixture> {
  return network(make);
}

async function clusterFixture(make: MakeDriver): Promise<ClusterFixture> {
  const name = uniqueName("contract");
  const transport = await make(name);
  return {
    meeting: { transport, name, secret: SECRET, heartbeat: "normal" },
    close: async () => {},
  };
}

async function network(
  make: MakeDriver,
  nodeId?: () => string,
): Promise<{
  join(): Promise<Ports & { readonly incarnation: string }>;
  close(): Promise<void>;
}> {
  const cluster = uniqueName("contract");
  const driver = await make(cluster);
  const all: Ports[] = [];
  return {
    async join() {
      const ports = await connectPorts(driver, cluster, nodeId && { nodeId: nodeId() });
      all.push(ports);
      return ports;
    },
    async close() {
      // The first one may carry the authority of all.
      for (const { authority, link } of all.toReversed()) {
        await authority.close();
        await link.close();
      }
    },
  };
}
