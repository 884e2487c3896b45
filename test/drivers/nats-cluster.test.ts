/** Three NATS servers that are one cluster: who may keep replicas there, and what a loss costs. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { nats } from "../../src/drivers/nats/index.ts";
import { Cluster, type ClusterOf, isCatgaError } from "../../src/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import {
  adopt,
  allOwn,
  askAll,
  join,
  neverTwoCopies,
  type Place,
  placeAt,
  stopAll,
} from "./broker-nodes.ts";
import { brokersAreWanted } from "./broker-process.ts";
import { openBucket } from "./fixtures.ts";
import { NatsServer } from "./nats-server.ts";
import { freePort } from "./port.ts";

/** From here on a server compares revisions of replicas as it should. */
const REPLICATED_MIN = "2.9.21";

afterEach(stopAll);

/** Three servers that have chosen a leader. */
async function formCluster(): Promise<NatsServer[]> {
  const ports = [await freePort(), await freePort(), await freePort()];
  const routes = ports.map((port) => `"nats://127.0.0.1:${port}"`).join(", ");
  const servers = await Promise.all(
    ports.map((port, at) => {
      const cluster = `cluster { name: c, listen: "127.0.0.1:${port}", routes: [${routes}] }`;
      return NatsServer.start(`server_name: "${at}"\n${cluster}`);
    }),
  );
  const isReady = () => withManager(servers[0]!, canMake).catch(() => false);
  await waitUntil("the servers have chosen a leader", isReady, { timeoutMs: 30_000 });
  return servers;
}

async function withManager<T>(
  server: NatsServer,
  ask: (manager: JetStreamManager) => Promise<T>,
): Promise<T> {
  const client = await connect({ servers: server.url.slice(7) });
  try {
    return await ask(await jetstreamManager(client, { timeout: 1_000 }));
  } finally {
    await client.close();
  }
}

async function canMake({ streams }: JetStreamManager): Promise<boolean> {
  await streams.add({ name: "probe", subjects: ["probe"], num_replicas: 3 });
  return streams.delete("probe");
}

async function codeOf(joining: Promise<ClusterOf<never>>): Promise<string> {
  try {
    adopt(await joining);
    return "joined";
  } catch (error) {
    return isCatgaError(error) ? error.code : String(error);
  }
}

describe.if(brokersAreWanted())("a cluster of NATS servers", () => {
  let servers: NatsServer[] = [];
  beforeAll(async () => {
    servers = await formCluster();
  }, 60_000);
  afterAll(() => Promise.all(servers.map((server) => server.stop())));

  const urls = () => servers.map(({ url }) => url);

  /** The number of the server that keeps the one copy of the records. */
  const homeOf = ({ name }: Place): Promise<number> =>
    withManager(servers[0]!, async ({ streams }) => {
      return Number((await streams.info(`KV_catga_${name}`)).cluster?.leader);
    });

  test("keeps replicas from 2.9.21 on; before, BROKER_TOO_OLD, whoever made them", async () => {
    const client = await connect({ servers: servers[0]!.url.slice(7) });
    const { version } = client.info!;
    await client.close();
    const isOld = version.localeCompare(REPLICATED_MIN, "en", { numeric: true }) < 0;
    const outcome = isOld ? "BROKER_TOO_OLD" : "joined";
    const three = nats({ servers: urls(), replicas: 3 });
    expect(await codeOf(Cluster.start({ transport: three, name: "three" }))).toBe(outcome);
    await withManager(servers[0]!, ({ streams }) => {
      const subjects = ["$KV.catga_theirs.>"];
      return streams.add({ name: "KV_catga_theirs", subjects, num_replicas: 3 });
    });
    const theirs = Cluster.start({ transport: nats({ servers: urls() }), name: "theirs" });
    expect(await codeOf(theirs)).toBe(isOld ? "BROKER_TOO_OLD" : "SETTINGS_DIFFER");
  }, 30_000);

  test("keeps one copy: while its server is away all wait, and then go on", async () => {
    const place = placeAt(nats({ servers: urls() }));
    await openBucket(nats({ servers: urls() }), place.name);
    const nodes = [await join(place, "a"), await join(place, "b")];
    await allOwn(nodes);
    const before = await askAll(nodes[0]!);
    const home = servers[await homeOf(place)]!;
    await home.kill();
    // Nobody else may keep the records: who joins meanwhile is told, after the limit of joining.
    expect(await codeOf(Cluster.start({ ...place, nodeId: "late" }))).toBe("BROKER_UNREACHABLE");
    await home.resume();
    const after = await askAll(nodes[1]!);
    expect(after.map(({ copy }) => copy)).toEqual(before.map(({ copy }) => copy));
    neverTwoCopies();
  }, 60_000);

  test("loses a server that keeps no copy, and nobody notices", async () => {
    const place = placeAt(nats({ servers: urls() }));
    await openBucket(nats({ servers: urls() }), place.name);
    const nodes = [await join(place, "a"), await join(place, "b")];
    await allOwn(nodes);
    const before = await askAll(nodes[0]!);
    const other = servers[((await homeOf(place)) + 1) % servers.length]!;
    await other.kill();
    const after = await askAll(nodes[1]!);
    expect(after.map(({ copy }) => copy)).toEqual(before.map(({ copy }) => copy));
    await other.resume();
    neverTwoCopies();
  }, 60_000);
});
