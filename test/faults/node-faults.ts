/** What happens to nodes, whatever they meet at; `n1` is the hub where there is one. */
import { setTimeout as wait } from "node:timers/promises";
import { BROKERS, LEASE_MS, type Scenario } from "./scenario.ts";

/** Ends `nodes` without a word; what they are stands in the name. */
function killed(what: string, nodes: readonly string[]): Scenario {
  return {
    name: `SIGKILL of ${what}`,
    heartbeat: "fast",
    nodes: 2 + nodes.length,
    async run(rig) {
      await Promise.all(nodes.map((node) => rig.kill(node)));
    },
  };
}

/** Stops a node in its tracks, several times if it may be short enough to pass unnoticed. */
function stopped(node: string, leases: number): Scenario {
  return {
    name: `SIGSTOP of ${node === "n1" ? "the hub" : "an owner"} for ${leases} leases`,
    heartbeat: "fast",
    nodes: 3,
    async run(rig) {
      for (let times = leases < 1 ? 5 : 1; times > 0; times--) {
        await rig.freeze(node, leases * LEASE_MS);
        await wait(1_000);
      }
    },
  };
}

/** Stops the hub: the others cannot renew either, and it reads first what they sent meanwhile. */
function stoppedHub(leases: number): readonly Scenario[] {
  const scenario = stopped("n1", leases);
  return [
    { ...scenario, drivers: ["embedded"], isPlanned: true },
    { ...scenario, drivers: BROKERS },
  ];
}

/** See the file's header. */
export const NODE_FAULTS: readonly Scenario[] = [
  killed("an owner", ["n2"]),
  killed("the hub", ["n1"]),
  killed("the hub and an owner", ["n1", "n3"]),
  ...[0.1, 0.6, 1.2, 3].map((leases) => stopped("n2", leases)),
  ...[0.87, 2].flatMap(stoppedHub),
  {
    name: "a busy loop longer than the lease",
    heartbeat: "fast",
    nodes: 3,
    async run(rig) {
      await rig.block("n2", 1.5 * LEASE_MS);
      await wait(1_000);
    },
  },
  {
    name: "a rolling restart of all nodes",
    heartbeat: "normal",
    nodes: 3,
    isPlanned: true,
    async run(rig) {
      for (const id of ["n1", "n2", "n3"]) {
        await rig.stop(id);
        await rig.start(`${id}b`);
        await rig.serves(`${id}b`);
      }
    },
  },
  {
    name: "scaling from 3 to 9 and back",
    heartbeat: "normal",
    nodes: 3,
    isPlanned: true,
    async run(rig) {
      const more = ["n4", "n5", "n6", "n7", "n8", "n9"];
      for (const id of more) await rig.start(id);
      await Promise.all(more.map((id) => rig.serves(id)));
      for (const id of more) await rig.stop(id);
    },
  },
  {
    name: "two first nodes at once",
    heartbeat: "normal",
    nodes: 0,
    isPlanned: true,
    async run(rig) {
      await Promise.all([rig.start("n1"), rig.start("n2")]);
      await rig.load();
    },
  },
];
