/** What happens to the broker: it dies, stands still, forgets. */
import { setTimeout as wait } from "node:timers/promises";
import { type Broker, lifeOf } from "./broker.ts";
import type { Rig } from "./rig.ts";
import { BROKERS, LEASE_MS, type Scenario } from "./scenario.ts";

/** A broker that runs answers by then. */
const ANSWER_MS_MAX = 10_000;
/** One that stands still does not, however long one waits. */
const SILENCE_MS = 200;

/** Ends the broker and starts it again; `meanwhile` something is done to its data. */
async function restart(
  rig: Rig,
  signal: "SIGKILL" | "SIGTERM",
  meanwhile: (broker: Broker) => void = () => {},
): Promise<void> {
  const { broker } = rig;
  const before = await lifeOf(broker, ANSWER_MS_MAX);
  await broker.kill(signal);
  meanwhile(broker);
  await broker.resume();
  const after = await lifeOf(broker, ANSWER_MS_MAX);
  rig.check("the broker began anew", before !== undefined && after !== undefined);
  rig.check("the broker is another process", before !== after);
}

function restarted(signal: "SIGKILL" | "SIGTERM"): Scenario {
  return {
    name: `${signal} and restart of the broker`,
    heartbeat: "fast",
    nodes: 3,
    drivers: BROKERS,
    isPlanned: true,
    async run(rig) {
      for (let times = 0; times < 5; times++) {
        await restart(rig, signal);
        await wait(700);
      }
    },
  };
}

/** What it knew is gone with it, as if somebody had wiped it. */
function forgotten(signal: "SIGKILL" | "SIGTERM"): Scenario {
  return {
    name: `${signal} and restart of a broker that keeps nothing`,
    heartbeat: "fast",
    nodes: 3,
    drivers: ["redis"],
    persistence: "none",
    isAnotherAuthority: true,
    run: (rig) => restart(rig, signal),
  };
}

/** See the file's header. */
export const BROKER_FAULTS: readonly Scenario[] = [
  restarted("SIGKILL"),
  restarted("SIGTERM"),
  forgotten("SIGKILL"),
  forgotten("SIGTERM"),
  {
    name: "SIGSTOP of the broker for 3 leases",
    heartbeat: "fast",
    nodes: 3,
    // Not planned: the caller's lease is longer, so it may take the others for dead before it
    // learns that it is the broker which is silent.
    drivers: BROKERS,
    async run(rig) {
      await rig.broker.kill("SIGSTOP");
      const life = await lifeOf(rig.broker, SILENCE_MS);
      rig.check("the broker stood still", life === undefined);
      await wait(3 * LEASE_MS);
      await rig.broker.kill("SIGCONT");
      await wait(1_000);
    },
  },
  {
    name: "a broker that comes back without its data",
    heartbeat: "fast",
    nodes: 3,
    drivers: BROKERS,
    isAnotherAuthority: true,
    run: (rig) => restart(rig, "SIGKILL", (broker) => broker.wipe()),
  },
  {
    name: "a broker that comes back with older data",
    heartbeat: "fast",
    nodes: 3,
    drivers: BROKERS,
    isAnotherAuthority: true,
    async run(rig) {
      await restart(rig, "SIGTERM", (broker) => broker.backUp());
      await rig.recovered();
      // What it will forget: who owned what, and that somebody was there and left.
      await rig.start("n4");
      await rig.serves("n4");
      await rig.stop("n4");
      await restart(rig, "SIGKILL", (broker) => broker.goBack());
    },
  },
];
