/**
 * What happens to the ways between nodes and broker: one node's, or everybody's at once, the
 * caller's included.
 */
import { setTimeout as wait } from "node:timers/promises";
import type { Proxy, Spoilt } from "../drivers/proxy.ts";
import { CALLER } from "./rig.ts";
import { BROKERS, LEASE_MS, type Scenario } from "./scenario.ts";

interface Fault {
  readonly name: string;
  /** What must have been done to each way that it spoils. */
  readonly shows: keyof Spoilt;
  /** Spoils, and mends again. */
  readonly spoil: (proxies: readonly Proxy[]) => Promise<void>;
  /** Nobody may notice, beyond having to wait. */
  readonly isPlanned?: boolean;
}

const WHOM: Readonly<Record<string, readonly string[]>> = {
  "one node": ["n2"],
  "the caller": [CALLER],
  all: ["n1", "n2", "n3", CALLER],
};

/** Connections that end five times, and may be made again at once. */
function ended(what: string, how: "destroy" | "resetAndDestroy"): Fault {
  return {
    name: `connections ${what} 5 times`,
    shows: "ended",
    isPlanned: true,
    async spoil(proxies) {
      for (let times = 0; times < 5; times++) {
        for (const proxy of proxies) proxy.end(how);
        await wait(700);
      }
    },
  };
}

/** Bytes that come late, all the time. */
function delayed(ms: number): Fault {
  return {
    name: `bytes ${ms} ms late`,
    shows: "late",
    async spoil(proxies) {
      for (const proxy of proxies) proxy.delay(ms);
      await wait(3_000);
      for (const proxy of proxies) proxy.delay(0);
    },
  };
}

/** Bytes that go nowhere, on old and new connections; then these end. */
function swallowed(leases: number): Fault {
  return {
    name: `bytes lost for ${leases} leases`,
    shows: "swallowed",
    async spoil(proxies) {
      for (const proxy of proxies) proxy.block();
      await wait(leases * LEASE_MS);
      for (const proxy of proxies) proxy.unblock();
    },
  };
}

/** Connections that are open for ever and carry nothing; who opens another one is well. */
function halfOpen(what: string, way: "both" | "toServer" | "toClient"): Fault {
  return {
    name: `half-open connections, ${what}`,
    shows: "swallowed",
    async spoil(proxies) {
      for (const proxy of proxies) proxy.deafen(way);
      await wait(5 * LEASE_MS);
    },
  };
}

const FAULTS: readonly Fault[] = [
  ended("cut", "destroy"),
  ended("reset", "resetAndDestroy"),
  {
    name: "connections refused for 3 leases",
    shows: "refused",
    async spoil(proxies) {
      for (const proxy of proxies) proxy.refuse();
      await wait(3 * LEASE_MS);
      for (const proxy of proxies) proxy.accept();
    },
  },
  { ...delayed(20), isPlanned: true },
  delayed(0.6 * LEASE_MS),
  {
    name: "bytes held back for 1.5 leases",
    shows: "late",
    async spoil(proxies) {
      for (const proxy of proxies) proxy.delay(Number.POSITIVE_INFINITY);
      await wait(1.5 * LEASE_MS);
      for (const proxy of proxies) proxy.delay(0);
    },
  },
  swallowed(0.5),
  swallowed(3),
  halfOpen("nobody hears", "both"),
  halfOpen("the broker hears nothing", "toServer"),
  halfOpen("the node hears nothing", "toClient"),
];

function happensTo(fault: Fault, whom: string): Scenario {
  return {
    name: `${fault.name}: ${whom}`,
    // A machine that is busy may be late by 800 ms, and all proxies are late with this process.
    heartbeat: fault.isPlanned === true ? "normal" : "fast",
    nodes: 3,
    drivers: BROKERS,
    isProxied: true,
    isPlanned: fault.isPlanned === true,
    mayEndCaller: fault.isPlanned !== true && WHOM[whom]!.includes(CALLER),
    async run(rig) {
      const proxies = rig.proxiesOf(WHOM[whom]!);
      const before = proxies.map(({ spoilt }) => spoilt[fault.shows]);
      await fault.spoil(proxies);
      const spoilt = proxies.every((proxy, i) => proxy.spoilt[fault.shows] > before[i]!);
      rig.check(`${whom} met ${fault.name}`, spoilt);
    },
  };
}

/** See the file's header. */
export const NETWORK_FAULTS: readonly Scenario[] = Object.keys(WHOM).flatMap((whom) =>
  FAULTS.map((fault) => happensTo(fault, whom)),
);
