/**
 * Event streams of an edge that are open at once and watch one entity: what one takes of the
 * server's memory, how long an event takes until the last of them has it, and what they cost while
 * nothing happens. Server and clients are processes of their own, with real sockets between them;
 * the clock is that of the clients, who also send the command. The floor is a server of the same
 * runtime with bare streams, which are given the same event, by no node.
 */
import { setTimeout as wait } from "node:timers/promises";
import { runtimeOf } from "../../src/base/runtime.ts";
import { Child, startHelper } from "../child.ts";
import { atMost, countFigure, type Figure } from "../figure.ts";
import { effort } from "../measure/effort.ts";
import type { Memory } from "../measure/memory.ts";
import { median } from "../measure/statistics.ts";
import { say } from "../parent.ts";

const GOAL_BYTES = 16_000;
/** With fewer, what is taken once for all counts too much. */
const GOAL_STREAMS = 8_000;
/** What is compiled and what buffers find their size with is no stream's. */
const WARM_UP = 200;
const PUSHES = 7;
/** Two comments to each stream, by which it is known to live. */
const IDLE_MS = 8_000;

interface Measured {
  readonly open: number;
  readonly bytesEach: number;
  readonly tookMs: readonly number[];
  /** Of one processor, while nothing is pushed; of a node. */
  readonly cpuMsPerSecond: number;
}

/** A process that holds streams, which have all begun. */
async function clients(port: number, count: number): Promise<{ child: Child; open: number }> {
  const args = [String(port), String(count)];
  const child = new Child({ runtime: "bun", file: "processes/stream-clients.ts", args });
  const { open } = (await child.next()) as { readonly open: number };
  return { child, open };
}

async function asked<T>(child: Child, line: string): Promise<T> {
  child.tell(line);
  return (await child.next()) as T;
}

async function measured(kind: "node" | "bare", count: number): Promise<Measured> {
  await using server = startHelper("processes/stream-edge.ts", kind);
  const { port } = (await server.next()) as { readonly port: number };
  const warmUp = await clients(port, WARM_UP);
  await asked(warmUp.child, "push");
  await warmUp.child[Symbol.asyncDispose]();
  const before = await asked<Memory>(server, "memory");
  const { child, open } = await clients(port, count);
  await using streams = child;
  const after = await asked<Memory>(server, "memory");
  const bytesEach = (after.residentBytes - before.residentBytes) / count;
  const cpuMsPerSecond = kind === "node" ? await idleCpu(server) : 0;
  const tookMs: number[] = [];
  for (let n = 0; n < PUSHES; n++) {
    tookMs.push((await asked<{ readonly tookMs: number }>(streams, "push")).tookMs);
  }
  return { open, bytesEach, tookMs, cpuMsPerSecond };
}

async function idleCpu(server: Child): Promise<number> {
  const before = await asked<NodeJS.CpuUsage>(server, "cpu");
  await wait(IDLE_MS);
  const after = await asked<NodeJS.CpuUsage>(server, "cpu");
  return (after.user + after.system - before.user - before.system) / IDLE_MS;
}

const { streams: count } = effort();
const node = await measured("node", count);
const bare = await measured("bare", count);
const { name, version } = runtimeOf();

say(
  countFigure(
    "memory of an open event stream",
    { unit: "bytes", ops: node.bytesEach, n: node.open, floor: bare.bytesEach },
    name === "bun" && node.open >= GOAL_STREAMS
      ? [atMost(node.bytesEach, GOAL_BYTES, "bytes")]
      : [],
  ),
);
const [ops, floor] = [median(node.tookMs), median(bare.tookMs)];
say({
  name: "push to all event streams, slowest as p99",
  runtime: `${name} ${version}`,
  unit: "ms",
  ops,
  p50Us: ops * 1_000,
  p99Us: Math.max(...node.tookMs) * 1_000,
  n: node.open,
  floor,
  ratio: ops / floor,
  goals: [],
} satisfies Figure);
say(
  countFigure("CPU of idle event streams, per second", {
    unit: "ms",
    ops: node.cpuMsPerSecond,
    n: node.open,
  }),
);
