/** A scenario over messages that any node may handle: a load, what is done, and the verdict. */
import { waitUntil } from "../contracts/wait-until.ts";
import type { DriverName } from "./broker.ts";
import type { Run } from "./handled.ts";
import type { KeptResult } from "./kept-scenario.ts";
import { type Cost, judgeMediator } from "./mediator-verdict.ts";
import type { Rig } from "./rig.ts";
import { type LaneSpec, Sender } from "./sender.ts";

/** A cluster of its own, with two senders, to which something is done. */
export interface MediatorScenario extends Cost {
  readonly name: string;
  readonly heartbeat: "fast" | "normal";
  readonly load: readonly LaneSpec[];
  /** Does it; resolves with figures, when the cluster should be whole again. */
  readonly run: (rig: Rig, senders: readonly Sender[]) => Promise<string>;
  /** @default all of them */
  readonly drivers?: readonly DriverName[];
}

const NODES = ["n1", "n2", "n3"];
const SENDERS = ["sender1", "sender2"];

/** Runs one. */
export async function runMediator(rig: Rig, scenario: MediatorScenario): Promise<KeptResult> {
  for (const id of NODES) await rig.start(id);
  const senders: Sender[] = [];
  try {
    for (const id of SENDERS) senders.push(await Sender.start(await rig.place(id)));
    const others = [...NODES, ...SENDERS];
    // Nobody is left out because a sender has not heard of him yet.
    for (const { cluster } of senders) {
      await waitUntil("all see each other", () => cluster.nodes.length === others.length);
    }
    await Promise.all(senders.map((each) => each.load(scenario.load)));
    await Promise.all(NODES.map((id) => rig.serves(id)));
    const figures = await scenario.run(rig, senders);
    await Promise.all(senders.map((each) => each.recovered([...rig.ids, ...SENDERS])));
    await Promise.all(senders.map((each) => each.finish()));
    const sent = senders.flatMap((each) => each.sent);
    const seen = {
      runs: runsOf(rig),
      sent,
      circuits: senders.flatMap((each) => each.circuits),
      failed: senders.flatMap((each) => each.failed),
      senders: SENDERS,
    };
    const wrong = judgeMediator(seen, scenario);
    wrong.push(...rig.undone.map((what) => `this did not happen: ${what}`));
    const unknown = sent.filter(({ failure }) => failure?.code === "OUTCOME_UNKNOWN").length;
    return { wrong, figures: `${sent.length} sent, ${unknown} unknown, ${figures}` };
  } finally {
    for (const each of senders) await each.stop();
  }
}

/** All that any node has written down. */
export function runsOf(rig: Rig): Run[] {
  const lines = rig.lines().filter((line) => line.endsWith("}"));
  return lines.map((line) => JSON.parse(line) as Run);
}
