/** A process that sends numbers without end: `numbers-node.ts <URL> <cluster> <node id>`. */
import process from "node:process";
import { Cluster, type TransportUrl } from "../../src/index.ts";
import { SECRET } from "./fixtures.ts";
import { Numbers } from "./numbers.ts";

const [transport = "", name = "", nodeId = ""] = process.argv.slice(2);
const place = { transport: transport as TransportUrl, name, nodeId, secret: SECRET };
const cluster = await Cluster.start({ ...place, heartbeat: "normal", shardCount: 32 });
process.stdout.write(`${JSON.stringify("joined")}\n`);
for (let n = 1; ; n++) {
  const entity = cluster.entity(Numbers, `a${n % 20}`);
  entity.send({ type: "add", from: nodeId, n }, { timeout: "20s" }).catch(() => {});
  await new Promise<void>((resolve) => void setTimeout(resolve, 1));
}
