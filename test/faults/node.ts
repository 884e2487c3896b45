/**
 * A node of the fault tests: `node.ts <cluster> <id> <heartbeat> <log> <broker> <entities>`, with
 * the entities that are `kept`, or with the `probe`. It says `ready`, blocks its event loop for as
 * many milliseconds as a line on its stdin says, which it follows with `blocked`, and leaves when
 * that ends.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { type NodeCluster, startNode } from "../../src/api/cluster.ts";
import { systemClock } from "../../src/base/clock.ts";
import { systemRandom } from "../../src/base/random.ts";
import { createKept } from "./kept.ts";
import { createProbe } from "./probe.ts";

const [, , name = "", nodeId = "", heartbeat = "fast", log = "", broker = "", what = ""] =
  process.argv;
const cluster: NodeCluster = await startNode(
  {
    name,
    nodeId,
    heartbeat: heartbeat as "fast",
    ...(broker === "" ? {} : { transport: broker as "nats://" }),
    entities: what === "kept" ? createKept(log) : [createProbe(log, () => cluster.leaseLeftMs)],
  },
  { clock: systemClock, random: systemRandom },
);
process.stdout.write("ready\n");
const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const untilMs = performance.now() + Number(line);
  while (performance.now() < untilMs); // A handler that computes, a collection that takes long.
  process.stdout.write("blocked\n");
});
lines.once("close", () => {
  cluster.stop({ deadline: "5s" }).then(
    () => process.exit(0),
    () => process.exit(1),
  );
});
