/**
 * From the call of `Cluster.start()` to the first answer, in fresh processes that have loaded
 * everything: the first node of a new cluster, and one that joins two others. One process after the
 * other; the figure is the median, p99 stands for the slowest. There is no floor.
 *
 * `start.ts [nats|redis]`: over a broker only the third node has a goal, for whoever is first waits
 * until nobody can act who was there before.
 */
import process from "node:process";
import { Broker } from "../broker.ts";
import { startHelper } from "../child.ts";
import { tookFigure } from "../figure.ts";
import { effort } from "../measure/effort.ts";
import type { BrokerKind } from "../processes/broker-kind.ts";
import { newClusterName, useOwnSecretFolder } from "../processes/cluster-name.ts";
import { say } from "../parent.ts";

const GOAL_MS = 100;

useOwnSecretFolder();
const { processes } = effort();
const kind = process.argv[2] as BrokerKind | "embedded";
await using broker = kind === "embedded" ? undefined : await Broker.start(kind);
const url = broker?.url ?? "";

/** Starts a node of `cluster`, which leaves in good order when it has had its first answer. */
async function startMs(cluster: string): Promise<number> {
  await using starter = startHelper("processes/starter.ts", cluster, url);
  const { tookMs } = (await starter.next()) as { readonly tookMs: number };
  return tookMs;
}

if (kind === "embedded") {
  const first: number[] = [];
  for (let i = 0; i < processes; i++) first.push(await startMs(newClusterName()));
  say(tookFigure("start to first answer, first node", first, GOAL_MS));
}

const cluster = newClusterName();
await using one = startHelper("processes/member.ts", cluster, "owner", url);
await one.next();
await using two = startHelper("processes/member.ts", cluster, "owner", url);
await two.next();

const joining: number[] = [];
for (let i = 0; i < processes; i++) joining.push(await startMs(cluster));
const what = "start to first answer, third node";
say(tookFigure(kind === "embedded" ? what : `${kind} ${what}`, joining, GOAL_MS));
