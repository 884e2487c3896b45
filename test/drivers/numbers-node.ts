/** A process that sends numbers without end: `numbers-node.ts <URL> <cluster> <node id>`. */
import process from "node:process";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Cluster, type TransportUrl } from "../../src/index.ts";
import { SECRET } from "./fixtures.ts";
import { Numbers } from "./numbers.ts";

/** Numbers that are on their way at the same time. */
const LANES = 50;

const [transport = "", name = "", nodeId = ""] = process.argv.slice(2);
const place = { transport: transport as TransportUrl, name, nodeId, secret: SECRET };
const cluster = await Cluster.start({ ...place, heartbeat: "normal", shardCount: 32 });
process.stdout.write(`${JSON.stringify("joined")}\n`);
let n = 0;
const lane = async (): Promise<never> => {
  for (;;) {
    const entity = cluster.entity(Numbers, `a${++n % 20}`);
    await entity.send({ type: "add", from: nodeId, n }, { timeout: "20s" }).catch(() => {});
    // A call may fail at once, while its node joins anew.
    await nextTurn();
  }
};
await Promise.all(Array.from({ length: LANES }, lane));
