/**
 * A node: it hosts entities. Where it meets the others it reads in CLUSTER_TRANSPORT and
 * CLUSTER_NAME; as NODE_ID it takes the name of its host, with a suffix.
 */
import { Cluster } from "catga";
import { gateway, listen } from "catga/http";
import { log, port, untilStopped } from "./program.ts";
import { HostedStock } from "./stock.ts";

// Listened for first: an order to stop may come while the node starts.
const stopped = untilStopped();
// A broker that is away is no reason to wait here: the process ends, and is started again.
const cluster = await Cluster.start({ entities: [HostedStock], heartbeat: "normal", log });
// On loopback, for the health check. Nothing is exposed.
const health = await listen(gateway(cluster, { expose: [] }), { port });
log.info({ node: cluster.nodeId, url: health.url }, "serves");

await stopped;
// What lives here moves to the other nodes; takes 10 seconds at most.
await cluster.stop();
await health.close();
log.info({ node: cluster.nodeId }, "has left");
