/**
 * Makes a schedule that fails smaller: with fewer faults, fewer entities and fewer rounds, as long
 * as the rest still fails. Which rule it violates may change on the way: any violation is a bug.
 *
 * Source: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002 (ddmin).
 */
import { ENTITIES, type Fault, type Part } from "./plan.ts";
import { type Outcome, replaySchedule } from "./schedule.ts";

/** What is left of a schedule. */
export interface Shrunk {
  readonly part: Required<Part>;
  /** How the part ended. */
  readonly outcome: Outcome;
  /** Faults of the whole schedule. */
  readonly faultsBefore: number;
}

type Fails<T> = (part: readonly T[]) => Promise<boolean>;

/** The smallest part of `failed` that fails, as far as found; `undefined` when none does. */
export async function shrink(failed: Outcome): Promise<Shrunk | undefined> {
  const replay = (part: Part): Promise<Outcome> => replaySchedule(failed, part);
  const fails = async (part: Part): Promise<boolean> => (await replay(part)).violations.length > 0;
  let part: Required<Part> = {
    only: faultsOf(failed).map(([round]) => round),
    entities: Array.from({ length: ENTITIES }, (_, e) => `e${e}`),
    rounds: failed.rounds.length,
  };
  const faultsBefore = part.only.length;
  if (!(await fails(part))) return undefined;
  for (let before = ""; before !== JSON.stringify(part);) {
    before = JSON.stringify(part);
    const { rounds, entities } = part;
    const only = await minimal(part.only, (only) => fails({ only, entities, rounds }));
    const few = await minimal(entities, (entities) => fails({ only, entities, rounds }));
    part = { only, entities: few, rounds };
    for (let fewer = 1; fewer < rounds; fewer++) {
      if (!(await fails({ ...part, rounds: fewer }))) continue;
      part = { ...part, only: only.filter((round) => round <= fewer), rounds: fewer };
      break;
    }
  }
  return { part, outcome: await replay(part), faultsBefore };
}

/** The faults of a schedule, each with its round. */
export function faultsOf({ rounds }: Outcome): [round: number, fault: Fault][] {
  return rounds.flatMap(({ fault }, at) => (fault === undefined ? [] : [[at + 1, fault]]));
}

/** A part of `all`, which fails, none of whose elements can be left out. */
export async function minimal<T>(all: readonly T[], fails: Fails<T>): Promise<readonly T[]> {
  if (all.length === 0 || (await fails([]))) return [];
  let part = all;
  for (let size = Math.ceil(all.length / 2); ;) {
    const before = part.length;
    for (let at = 0; at < part.length && part.length > 1;) {
      const rest = part.filter((_, index) => index < at || index >= at + size);
      if (rest.length > 0 && (await fails(rest))) part = rest;
      else at += size;
    }
    if (size > 1) size = Math.ceil(size / 2);
    else if (part.length === before) return part;
  }
}
