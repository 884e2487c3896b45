/**
 * A node that is told to end by a signal: `signalled.ts <what> <port> <cluster name>`. It says
 * `ready`, `other` when the second cluster of this process stops, and `leaving` when the first
 * does. A timer would keep it alive for ever, but for `alone`, which stops itself. `hasty` ends as
 * soon as another node joins, having met none before.
 */
import process from "node:process";
import { Cluster, command, defineEntity } from "../../src/index.ts";

const [what = "", port = "", name = ""] = process.argv.slice(2);
const leaving = Promise.withResolvers<void>();
const forEver = new Promise<void>(() => {});

const Counter = defineEntity("counter", {
  messages: {
    count: command<void, number>(),
    /** Answers when the node has begun to leave. */
    linger: command<void, string>(),
    hang: command(),
  },
  state: () => ({ n: 0 }),
  handlers: {
    count: ({ state }) => ++state.n,
    linger: ({ node }) => leaving.promise.then(() => node),
    hang: () => forEver,
  },
});

const other = await Cluster.start({ transport: "memory", name: `${name}-other` });
other.beforeStop(() => say("other"));
const cluster = await Cluster.start({
  transport: `tcp://127.0.0.1:${Number(port)}`,
  name,
  nodeId: "told",
  secret: "a secret of tests",
  heartbeat: "normal",
  shardCount: 32,
  entities: [Counter],
});
cluster.beforeStop(() => {
  say("leaving");
  leaving.resolve();
  return what === "stubborn" ? forEver : undefined;
});
const deadline = what === "hang" ? "2s" : "60s";
other.stopOnSignals();
cluster.stopOnSignals({ deadline });
cluster.stopOnSignals({ deadline });
if (what === "hasty") {
  await cluster.entity(Counter, "1").send({ type: "count" });
  cluster.on("node-joined", () => process.kill(process.pid, "SIGTERM"));
}
say("ready");
if (what === "alone") {
  await Promise.all([cluster.stop(), other.stop()]);
} else {
  setInterval(() => {}, 60_000);
}

function say(word: string): void {
  process.stdout.write(`${word}\n`);
}
