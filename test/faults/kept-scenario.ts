/** A scenario over entities that are kept: a load, what is done to it, and the verdict. */
import type { DriverName } from "./broker.ts";
import { KeptCaller } from "./kept-caller.ts";
import { KeptObjects } from "./kept-objects.ts";
import { KeptTransfers } from "./kept-transfers.ts";
import { CALLER, type Rig } from "./rig.ts";

/** A cluster of its own, under load, to which something is done. */
export interface KeptScenario {
  readonly name: string;
  readonly heartbeat: "fast" | "normal";
  /** Does it; resolves when everything should answer again, which is then waited for. */
  readonly run: (rig: Rig, caller: KeptCaller) => Promise<void>;
  /** @default all of them */
  readonly drivers?: readonly DriverName[];
  /** True when every node goes to the broker by a proxy. */
  readonly isProxied?: boolean;
}

const NODES = ["n1", "n2", "n3"];

/** What came of a scenario. */
export interface KeptResult {
  readonly wrong: readonly string[];
  /** What was done, in figures. */
  readonly figures: string;
}

/** Runs one. */
export async function runKept(rig: Rig, { run }: KeptScenario): Promise<KeptResult> {
  await startAll(rig);
  const [objects, transfers] = [new KeptObjects(), new KeptTransfers()];
  const steps = (each: KeptCaller) => [...objects.steps(each), ...transfers.steps(each)];
  const caller = await KeptCaller.start(await rig.place(CALLER), steps);
  try {
    await allServe(rig);
    await run(rig, caller);
    await caller.recovered();
    await caller.finish();
    const { all, unknown } = objects.counts;
    const wrong = [
      ...(await objects.judge(caller)),
      ...(await transfers.judge(caller)),
      ...caller.unexpected,
      ...rig.undone.map((what) => `this did not happen: ${what}`),
    ];
    const figures = `${all} operations, ${unknown} unknown, ${transfers.count} transfers`;
    return { wrong, figures };
  } finally {
    await caller.stop();
  }
}

/** Ends everything that runs, the caller politely, and starts it again; then all is answered. */
export async function restartAll(
  rig: Rig,
  caller: KeptCaller,
  meanwhile: () => Promise<void> = async () => {},
): Promise<void> {
  await Promise.all([...rig.ids.map((id) => rig.kill(id)), meanwhile()]);
  await caller.leave();
  await startAll(rig);
  await caller.join();
  await caller.recovered();
  await allServe(rig);
}

async function startAll(rig: Rig): Promise<void> {
  await Promise.all(NODES.map((id) => rig.start(id)));
}

async function allServe(rig: Rig): Promise<void> {
  await Promise.all(rig.ids.map((id) => rig.serves(id)));
}
