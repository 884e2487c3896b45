/**
 * The edge: entities over HTTP, wherever they live. It hosts none: their contract is enough.
 *
 * Nobody has to log in here: put what you check requests with before it, or mount the app of
 * `gateway` in yours.
 */
import { Cluster } from "catga";
import { gateway, listen } from "catga/http";
import { log, port, untilStopped } from "./program.ts";
import { Stock } from "./stock.ts";

const stopped = untilStopped();
const cluster = await Cluster.start({ heartbeat: "normal", log });
const app = gateway(cluster, { expose: [Stock], log });
// All addresses of the container; who gets there is for the compose file to say.
const edge = await listen(app, { port, hostname: "0.0.0.0", allowRemote: true });
log.info({ node: cluster.nodeId, url: edge.url }, "serves");

await stopped;
// No new requests first, then no more cluster for those under way.
await edge.close();
await cluster.stop();
log.info({ node: cluster.nodeId }, "has left");
