/**
 * One message to all nodes that handle it, eight processes of their own without a broker, one
 * broadcast after the other. The figure is how long it takes until all have answered; its floor is
 * how long a message to one of them takes.
 */
import { setTimeout as wait } from "node:timers/promises";
import { runtimeOf } from "../../src/base/runtime.ts";
import { Cluster } from "../../src/index.ts";
import { startHelper } from "../child.ts";
import type { Figure } from "../figure.ts";
import { contest } from "../measure/contest.ts";
import { effort } from "../measure/effort.ts";
import { oneByOne } from "../measure/in-flight.ts";
import { newClusterName, useOwnSecretFolder } from "../processes/cluster-name.ts";
import { ask } from "../processes/echo.ts";
import { say } from "../parent.ts";

const NODES = 8;
const LOOK_MS = 20;

useOwnSecretFolder();
const name = newClusterName();
// The hub, which handles nothing: all answers come from other processes.
await using cluster = await Cluster.start({ name });
await using members = new AsyncDisposableStack();
const started = Array.from({ length: NODES }, () => {
  return members.use(startHelper("processes/member.ts", name, "handler"));
});
await Promise.all(started.map((each) => each.next()));
while (cluster.nodes.length <= NODES) await wait(LOOK_MS);

const outcome = await contest(
  {
    subject: oneByOne(async (n) => {
      const answers = await cluster.broadcast(ask(n));
      if (answers.some(({ ok }) => !ok)) throw new Error("Cannot go on: a node did not answer");
    }),
    floor: oneByOne((n) => cluster.send(ask(n))),
  },
  effort(),
);
const { subject, floor, n } = outcome;
const sides = [
  { what: "p50", ops: subject.p50Us, floor: floor.p50Us, ratio: outcome.ratioP50 },
  { what: "p99", ops: subject.p99Us, floor: floor.p99Us, ratio: outcome.ratioP99 },
];
const { name: runtime, version } = runtimeOf();
for (const { what, ...figures } of sides) {
  say({
    ...figures,
    name: `broadcast to ${NODES} processes, ${what}`,
    runtime: `${runtime} ${version}`,
    unit: "µs",
    p50Us: subject.p50Us,
    p99Us: subject.p99Us,
    n,
    goals: [],
  } satisfies Figure);
}
