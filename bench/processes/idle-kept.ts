/**
 * A node at rest over a broker, all shards its own: `idle-kept.ts <url> <cluster> <types>` hosts so
 * many entity types that are kept, and one that is not. Says `{}` when it is at rest, and for each
 * line on its stdin `{ cpuMs }`, what it has used of the processor so far.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { Cluster, command, defineEntity } from "../../src/index.ts";
import { say } from "../parent.ts";
import type { BrokerUrl } from "./broker-kind.ts";

const [, , url = "", name = "", types = ""] = process.argv;
const typeOf = (type: string, persistence: "none" | "write-through"): object =>
  defineEntity(type, {
    messages: { touch: command() },
    persistence,
    state: () => ({}),
    handlers: { touch: () => {} },
  });
const kept = Array.from({ length: Number(types) }, (_, n) => typeOf(`kept-${n}`, "write-through"));

await using cluster = await Cluster.start({
  transport: url as BrokerUrl,
  name,
  heartbeat: "normal",
  entities: [typeOf("plain", "none"), ...kept] as never,
});
await cluster.entity("plain" as never, "one").send({ type: "touch" });
say({});
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
while ((await lines.next()).done !== true) {
  const { user, system } = process.cpuUsage();
  say({ cpuMs: (user + system) / 1_000 });
}
