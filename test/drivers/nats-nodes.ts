/** NATS servers of one test, and nodes that meet there; all are stopped after it. */
import { nats } from "../../src/drivers/nats/index.ts";
import { allOwn, join, placeAt, stopAll as stopNodes, type WitnessNode } from "./broker-nodes.ts";
import { openBucket } from "./fixtures.ts";
import { NatsServer } from "./nats-server.ts";

const servers: NatsServer[] = [];

/** For `afterEach` of every file: a hook here would run for the first one that imports this. */
export async function stopAll(): Promise<void> {
  await stopNodes();
  await Promise.all(servers.splice(0).map((server) => server.stop()));
}

/** A server; `more` is configuration. */
export async function serve(more = "", host?: string): Promise<NatsServer> {
  const server = await NatsServer.start(more, host);
  servers.push(server);
  return server;
}

/** So many nodes of a new cluster, of which each owns something. */
export async function clusterAt(server: NatsServer, count: number): Promise<WitnessNode[]> {
  const place = placeAt(server.url);
  await openBucket(nats(server.url), place.name);
  const started: WitnessNode[] = [];
  while (started.length < count) started.push(await join(place, `n${started.length + 1}`));
  await allOwn(started);
  return started;
}
