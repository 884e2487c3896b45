/** What must hold whatever happened to the processes. */
import type { Load } from "./rig.ts";
import type { Turn } from "./probe.ts";

/** Everything that is wrong; nothing when all is well. */
export function judge(turns: readonly Turn[], load: Load): string[] {
  const byEntity = new Map<string, Turn[]>();
  for (const turn of turns) byEntity.set(turn.id, [...(byEntity.get(turn.id) ?? []), turn]);
  const wrong: string[] = [];
  for (const [id, answered] of load.answered) wrong.push(...lost(id, byEntity.get(id), answered));
  for (const [id, all] of byEntity) {
    wrong.push(...overlaps(id, all));
    wrong.push(...disorder(id, all.filter(isValid)));
  }
  return wrong;
}

/** It ended under a valid lease: what it did counts, and its answer may leave. */
function isValid({ endNs, leaseEndNs }: Turn): boolean {
  return endNs < leaseEndNs;
}

function lost(id: string, turns: readonly Turn[] = [], answered: ReadonlySet<number>): string[] {
  const ran = new Set(turns.map(({ n }) => n));
  const counted = new Set(turns.filter(isValid).map(({ n }) => n));
  return [...answered].flatMap((n) => {
    if (!ran.has(n)) return `${id}: ${n} was answered and is missing`;
    // A lease that is renewed after a lapse makes a turn valid again: it was never taken over.
    const isResumed = turns.some((turn) => turn.n === n && !isTakenOver(turn, turns));
    return counted.has(n) || isResumed ? [] : `${id}: ${n} outlived its lease and was answered`;
  });
}

/** Another node had a turn of the entity under a later ownership. */
function isTakenOver({ fence }: Turn, turns: readonly Turn[]): boolean {
  return turns.some((other) => other.fence > fence);
}

/** A turn runs until it ends, or until the lease it ran under does. */
function overlaps(id: string, turns: readonly Turn[]): string[] {
  const sorted = turns.toSorted((a, b) => a.startNs - b.startNs);
  let last: Turn | undefined;
  const wrong: string[] = [];
  for (const turn of sorted) {
    const isOver = last === undefined || untilNs(last) <= turn.startNs || last.node === turn.node;
    if (!isOver) wrong.push(`${id}: turns on ${last!.node} and ${turn.node} at once`);
    if (last === undefined || untilNs(turn) > untilNs(last)) last = turn;
  }
  return wrong;
}

function untilNs({ endNs, leaseEndNs }: Turn): number {
  return Math.min(endNs, leaseEndNs);
}

function disorder(id: string, turns: readonly Turn[]): string[] {
  const wrong: string[] = [];
  const sorted = turns.toSorted((a, b) => a.startNs - b.startNs);
  for (const [at, turn] of sorted.slice(1).entries()) {
    const before = sorted[at]!;
    if (turn.n === before.n) wrong.push(`${id}: ${turn.n} ran twice`);
    else if (turn.n < before.n) wrong.push(`${id}: ${turn.n} ran after ${before.n}`);
    if (turn.fence < before.fence) wrong.push(`${id}: the fence fell with ${turn.n}`);
  }
  return wrong;
}
