/**
 * What a whole process takes that is a node with the embedded driver and the HTTP edge, and has
 * nothing to do: resident memory after garbage was collected and the figure has come to rest. The
 * floor is a bare process that has loaded the same libraries; both are fresh processes, started in
 * turns, and both run what is built, as it is published, without the runtime's own compiler.
 * `memory-idle.ts <embedded|nats|redis>`: over a broker both are connected to it.
 */
import process from "node:process";
import { runtimeOf } from "../../src/base/runtime.ts";
import { build } from "../build.ts";
import { Broker } from "../broker.ts";
import { Child } from "../child.ts";
import { atMost, type Figure, type Goal } from "../figure.ts";
import { effort } from "../measure/effort.ts";
import type { Memory } from "../measure/memory.ts";
import { median } from "../measure/statistics.ts";
import { newClusterName, useOwnSecretFolder } from "../processes/cluster-name.ts";
import { say } from "../parent.ts";

const MB = 1e6;
const GOAL_BUN_MB = { embedded: 45, nats: 50, redis: 50 } as const;
const GOAL_ABOVE_BARE_MB = 12;

useOwnSecretFolder();
const { processes } = effort();
const { name, version } = runtimeOf();
const kind = process.argv[2] as keyof typeof GOAL_BUN_MB;
await using broker = kind === "embedded" ? undefined : await Broker.start(kind);
const url = broker?.url ?? "";

using built = build();
const { folder } = built;

async function residentMb(file: string, ...args: string[]): Promise<number> {
  await using child = new Child({ runtime: name, file, args, folder });
  const { residentBytes } = (await child.next()) as Memory;
  return residentBytes / MB;
}

const nodes: number[] = [];
const bare: number[] = [];
for (let i = 0; i < processes; i++) {
  nodes.push(await residentMb("processes/idle-node.js", newClusterName(), url));
  bare.push(await residentMb("processes/idle-bare.js", url));
}

const ops = median(nodes);
const above = median(nodes.map((mb, i) => mb - bare[i]!));

function goals(): Goal[] {
  if (name === "bun") return [atMost(ops, GOAL_BUN_MB[kind], "MB")];
  if (name === "node" && kind === "embedded")
    return [atMost(above, GOAL_ABOVE_BARE_MB, "MB above the floor")];
  return [];
}

say({
  name: `${kind === "embedded" ? "" : `${kind} `}memory of an idle node with its edge`,
  runtime: `${name} ${version}`,
  unit: "MB",
  ops,
  p50Us: null,
  p99Us: null,
  n: processes,
  floor: median(bare),
  ratio: median(nodes.map((mb, i) => mb / bare[i]!)),
  goals: goals(),
} satisfies Figure);
