/**
 * What a cluster at rest costs its broker, by the number of its nodes: `broker-scale.ts
 * <nats|redis>`. Real processes with `fast` heartbeats, each of which owns a share; the broker
 * counts what goes in and out, and what the authority was asked: operations.
 */
import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";
import { HEARTBEATS } from "../../src/base/limits.ts";
import { Broker } from "../broker.ts";
import { type Child, startHelper } from "../child.ts";
import { countFigure } from "../figure.ts";
import { effort } from "../measure/effort.ts";
import type { BrokerKind } from "../processes/broker-kind.ts";
import { newClusterName } from "../processes/cluster-name.ts";
import { say } from "../parent.ts";

const SIZES = [1, 2, 4, 8] as const;
/** After a join all shards are where they should be by then. */
const REST_MS = 1_000;

const kind = process.argv[2] as BrokerKind;
const watchMs = 8 * effort().roundMs;
await using broker = await Broker.start(kind);
const name = newClusterName();
const nodes: Child[] = [];

for (const size of SIZES) {
  while (nodes.length < size) {
    nodes.push(startHelper("processes/member.ts", name, "owner", broker.url));
    await nodes.at(-1)!.next();
  }
  await wait(REST_MS);
  await measure(size);
}
await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));

async function measure(size: number): Promise<void> {
  const before = await broker.counts();
  const beganMs = performance.now();
  await wait(watchMs);
  const after = await broker.counts();
  const seconds = (performance.now() - beganMs) / 1_000;
  const messages = after.messages - before.messages;
  const operations = (after.operations - before.operations) / seconds;
  const bytes = (after.bytes - before.bytes) / seconds;
  const heartbeats = (size * seconds * 1_000) / HEARTBEATS.fast.everyMs;
  const title = `${kind}, ${size} ${size === 1 ? "node" : "nodes"} at rest:`;
  say(countFigure(`${title} operations`, { unit: "/s", ops: operations, n: size }));
  say(countFigure(`${title} bytes per second`, { unit: "bytes", ops: bytes, n: size }));
  const each = { unit: "messages", ops: messages / heartbeats, n: size } as const;
  say(countFigure(`${title} per heartbeat`, each));
}
