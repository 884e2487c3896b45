/**
 * A node with an edge that is told to end: `leaving-edge.ts <port> <cluster name>`, where port 0 is
 * a cluster in memory. It says where it serves, and `leaving`; a line on its stdin ends what
 * lingers.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { gateway, listen } from "../../src/http/index.ts";
import { Cluster } from "../../src/index.ts";
import { linger, Lingering } from "./lingering.ts";

const [port = "", name = ""] = process.argv.slice(2);
const cluster = await Cluster.start({
  transport: port === "0" ? "memory" : `tcp://127.0.0.1:${Number(port)}`,
  name,
  nodeId: "told",
  secret: "a secret of tests",
  heartbeat: "normal",
  shardCount: 32,
  entities: [Lingering],
});
const app = gateway(cluster, { expose: [Lingering], management: "full" });
const { url } = await listen(app, { port: 0 });
cluster.beforeStop(() => say("leaving"));
cluster.stopOnSignals({ deadline: "4s" });
createInterface({ input: process.stdin }).on("line", () => linger.resolve());
say(url);

function say(word: string): void {
  process.stdout.write(`${word}\n`);
}
