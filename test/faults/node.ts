/**
 * A node of the fault tests: `node.ts <cluster> <id> <heartbeat> <log> <broker> <entities>`, with
 * the entities that are `kept`, with the `probe`, or with `handlers`. It says `ready`, and `done`
 * after each line on its stdin: for as many milliseconds as that says it blocks its event loop;
 * after `slow 20` its handlers take 20 times as long as they should. It leaves when that ends.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { type NodeCluster, startNode } from "../../src/api/cluster.ts";
import { systemClock } from "../../src/base/clock.ts";
import { systemRandom } from "../../src/base/random.ts";
import type { AnyEntity, ClusterOptions } from "../../src/index.ts";
import { createHandlers, type Pace } from "./handled.ts";
import { createKept } from "./kept.ts";
import { createProbe } from "./probe.ts";

const [, , name = "", nodeId = "", heartbeat = "fast", log = "", broker = "", what = ""] =
  process.argv;
const pace: Pace = { factor: 1 };
const cluster: NodeCluster = await startNode(
  {
    name,
    nodeId,
    heartbeat: heartbeat as "fast",
    ...(broker === "" ? {} : { transport: broker as "nats://" }),
    ...hosted(),
  },
  { clock: systemClock, random: systemRandom },
);
process.stdout.write("ready\n");
const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const [, factor] = /^slow (\d+)$/.exec(line) ?? [];
  if (factor === undefined) block(Number(line));
  else pace.factor = Number(factor);
  process.stdout.write("done\n");
});
lines.once("close", () => {
  cluster.stop({ deadline: "5s" }).then(
    () => process.exit(0),
    () => process.exit(1),
  );
});

function hosted(): Pick<ClusterOptions<AnyEntity[]>, "entities" | "handlers"> {
  if (what === "handlers") return { handlers: createHandlers(log, pace) };
  if (what === "kept") return { entities: createKept(log) };
  return { entities: [createProbe(log, () => cluster.leaseLeftMs)] };
}

/** A handler that computes, a collection that takes long. */
function block(ms: number): void {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
}
