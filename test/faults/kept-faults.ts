/** What happens to nodes, brokers and files while entities are kept. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { waitUntil } from "../contracts/wait-until.ts";
import type { Proxy } from "../drivers/proxy.ts";
import { inLanes, type KeptCaller } from "./kept-caller.ts";
import { type KeptScenario, restartAll } from "./kept-scenario.ts";
import { Clock } from "./kept.ts";
import type { Rig } from "./rig.ts";
import { BROKERS, LEASE_MS } from "./scenario.ts";

/** Of heartbeat `normal`. */
const LONG_LEASE_MS = 3_000;
const CLOCKS = 10_000;
/** The first reminder comes after this. */
const RING_MS = 15_000;
/** From their death until all have come, on a machine that is busy. */
const RING_TIMEOUT_MS = 120_000;
/** At least so many have come when all nodes are killed. */
const RUNG_BEFORE = 500;
const LOCKER = fileURLToPath(new URL("../drivers/sqlite-program.ts", import.meta.url));

/** Ends one node after the other without a word, each when all is well again. */
function killed(what: string, nodes: readonly string[]): KeptScenario {
  return {
    name: `SIGKILL of ${what}`,
    heartbeat: "fast",
    async run(rig, caller) {
      for (const id of nodes) {
        await rig.kill(id);
        await caller.recovered();
        await rig.start(id);
        await rig.serves(id);
      }
    },
  };
}

/** At an instant that nobody chose. */
async function someTime(): Promise<void> {
  await wait(Math.random() * 500);
}

/** The way of one node to everything is spoilt, and mended again. */
function cutOff(
  what: string,
  shows: "swallowed" | "late",
  spoil: (proxy: Proxy) => Promise<void>,
): KeptScenario {
  return {
    name: `a node ${what}`,
    heartbeat: "fast",
    drivers: BROKERS,
    isProxied: true,
    async run(rig, caller) {
      const [proxy] = rig.proxiesOf(["n2"]);
      for (let times = 0; times < 2; times++) {
        const before = proxy!.spoilt[shows];
        await spoil(proxy!);
        rig.check(`n2 was ${what}`, proxy!.spoilt[shows] > before);
        await caller.recovered();
        await wait(LEASE_MS);
      }
    },
  };
}

/** See the file's header. */
export const KEPT_FAULTS: readonly KeptScenario[] = [
  killed("the hub", ["n1"]),
  killed("two owners, one after the other", ["n2", "n3"]),
  {
    name: "SIGKILL of all nodes, at any instant",
    heartbeat: "fast",
    async run(rig, caller) {
      for (let times = 0; times < 2; times++) {
        await someTime();
        await restartAll(rig, caller);
      }
    },
  },
  ...[1.5, 3].map(zombie),
  {
    name: "SIGKILL of all nodes and the broker",
    heartbeat: "fast",
    drivers: BROKERS,
    async run(rig, caller) {
      for (let times = 0; times < 2; times++) {
        await someTime();
        await restartAll(rig, caller, () => restart(rig));
      }
    },
  },
  {
    name: "SIGKILL and restart of the broker",
    heartbeat: "fast",
    drivers: BROKERS,
    async run(rig, caller) {
      for (let times = 0; times < 4; times++) {
        await someTime();
        await restart(rig);
        await caller.recovered();
      }
    },
  },
  cutOff("cut off for 3 leases", "swallowed", async (proxy) => {
    proxy.block();
    await wait(3 * LEASE_MS);
    proxy.unblock();
  }),
  cutOff("whose bytes come 1.5 leases late", "late", async (proxy) => {
    proxy.delay(Number.POSITIVE_INFINITY);
    await wait(1.5 * LEASE_MS);
    proxy.delay(0);
  }),
  {
    name: "a foreign process that locks the file for 2 leases",
    // Nobody may be taken for dead here, also on a machine that is busy.
    heartbeat: "normal",
    drivers: ["embedded"],
    run: lock,
  },
  { name: `${CLOCKS} reminders after SIGKILL of all nodes`, heartbeat: "fast", run: remind },
];

/** A node that goes on after others have taken over, with what it had on its way. */
function zombie(leases: number): KeptScenario {
  return {
    name: `SIGSTOP of an owner for ${leases} leases`,
    heartbeat: "fast",
    async run(rig, caller) {
      for (const id of ["n2", "n3"]) {
        await someTime();
        await rig.freeze(id, leases * LEASE_MS);
        await caller.recovered();
        await wait(LEASE_MS);
      }
    },
  };
}

async function restart({ broker }: Rig): Promise<void> {
  await broker.kill("SIGKILL");
  await broker.resume();
}

async function lock(rig: Rig, caller: KeptCaller): Promise<void> {
  const args = ["--disable-warning=ExperimentalWarning", LOCKER, "lock", rig.file];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "exit");
  await Promise.race([once(child.stdout, "data"), ended]);
  await wait(2 * LONG_LEASE_MS);
  child.stdin.end();
  const [code] = await ended;
  rig.check("the lock was held to the end", code === 0);
  const { failed } = caller;
  rig.check(`nobody was declared dead (${[...failed].join()})`, failed.size === 0);
}

/** Some come before all nodes are killed, some meanwhile, which is late, and some afterwards. */
async function remind(rig: Rig, caller: KeptCaller): Promise<void> {
  const ids = Array.from({ length: CLOCKS }, (_, n) => `c${n}`);
  let came = 0;
  const rung = async (): Promise<number> => {
    // Who reads all the time leaves no processor to the nodes.
    await wait(100);
    return (came = new Set(rig.lines().filter((line) => line.startsWith("ring "))).size);
  };
  const beganMs = performance.now();
  await inLanes(ids, (id) => {
    // However long it takes to set them, less than half have come by then.
    const ms = RING_MS + performance.now() - beganMs;
    return caller.insist<void>(Clock, id, { type: "set", ms });
  });
  const limit = { timeoutMs: RING_TIMEOUT_MS, describe: () => ({ came }) };
  await waitUntil("some have come", async () => (await rung()) >= RUNG_BEFORE, limit);
  rig.check("most reminders were still to come", came < CLOCKS / 2);
  await restartAll(rig, caller);
  await waitUntil("all have come", async () => (await rung()) === CLOCKS, limit);
  // Whoever was killed in its turn, unheard, rings again.
  await inLanes(ids, (id) => {
    const asked = async () => (await caller.insist<number>(Clock, id, { type: "rung" })) > 0;
    return waitUntil(`${id} has rung`, asked, limit);
  });
  const odd: number[] = [];
  await inLanes(ids, async (id) => {
    const count = await caller.insist<number>(Clock, id, { type: "rung" });
    if (count !== 1) odd.push(count);
  });
  rig.check(`each reminder came once, and not ${odd.slice(0, 9).join(", ")}`, odd.length === 0);
}
