/** What must hold whatever happened to the processes. */
import type { Load } from "./caller.ts";
import type { Turn } from "./probe.ts";

/** What a scenario may cost. */
export interface Expected {
  /** Nothing dies in it: no memory is lost, no outcome unknown, no node declared dead. */
  readonly isPlanned?: boolean;
  /** The authority loses what it knew: another one follows, and calls are refused meanwhile. */
  readonly isAnotherAuthority?: boolean;
  /** The caller's own session may end: its calls are refused until it has joined anew. */
  readonly mayEndCaller?: boolean;
}

/** All that was seen of a scenario. */
export interface Seen {
  readonly turns: readonly Turn[];
  readonly load: Load;
  /** Nodes that others declared dead. */
  readonly failed: readonly string[];
}

/** Everything that is wrong; nothing when all is well. */
export function judge({ turns, load, failed }: Seen, expected: Expected = {}): string[] {
  const byEntity = new Map<string, Turn[]>();
  for (const turn of turns.toSorted((a, b) => a.startNs - b.startNs)) {
    const all = byEntity.get(turn.id) ?? [];
    byEntity.set(turn.id, all);
    all.push(turn);
  }
  const wrong: string[] = [];
  for (const [id, answered] of load.answered) wrong.push(...lost(id, byEntity.get(id), answered));
  for (const [id, all] of byEntity) {
    wrong.push(...overlaps(id, all));
    wrong.push(...disorder(id, all.filter(isValid)));
    wrong.push(...memory(id, all, expected));
  }
  if (expected.isPlanned === true && failed.length > 0) {
    wrong.push(`declared dead: ${failed.join(", ")}`);
  }
  return [
    ...wrong,
    ...refusals({ turns, load, failed }, expected),
    ...authorities(turns, expected),
  ];
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
    const isResumed = turns.some((turn) => turn.n === n && wasRenewed(turn, turns));
    return counted.has(n) || isResumed ? [] : `${id}: ${n} outlived its lease and was answered`;
  });
}

/**
 * A lease that is renewed after a lapse makes a turn valid again: nobody had taken over by then, as
 * nobody ever did, or as another turn shows that began later under the same ownership.
 */
function wasRenewed({ fence, endNs }: Turn, turns: readonly Turn[]): boolean {
  const isTakenOver = turns.some((other) => other.fence > fence);
  const goesOn = (turn: Turn): boolean => turn.fence === fence && turn.startNs >= endNs;
  return !isTakenOver || turns.some((turn) => goesOn(turn) && isValid(turn));
}

/** A turn runs until it ends, or until the lease it ran under does. */
function overlaps(id: string, turns: readonly Turn[]): string[] {
  let last: Turn | undefined;
  const wrong: string[] = [];
  for (const turn of turns) {
    const isOver = last === undefined || untilNs(last) <= turn.startNs;
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
  for (const [before, turn] of pairsOf(turns)) {
    if (turn.n === before.n) wrong.push(`${id}: ${turn.n} ran twice`);
    else if (turn.n < before.n) wrong.push(`${id}: ${turn.n} ran after ${before.n}`);
    if (turn.fence < before.fence) wrong.push(`${id}: the fence fell with ${turn.n}`);
  }
  return wrong;
}

/** A copy remembers all its turns; one that follows takes over all of them, or none. */
function memory(id: string, turns: readonly Turn[], { isPlanned }: Expected): string[] {
  const wrong: string[] = [];
  for (const [before, turn] of pairsOf(turns)) {
    const isSame = turn.fence === before.fence;
    const forgets = turn.count === 1 && !isSame && isPlanned !== true;
    if (turn.count !== before.count + 1 && !forgets) {
      wrong.push(`${id}: ${turn.n} found ${turn.count - 1} turns of ${before.count}`);
    }
    if (isSame && turn.node !== before.node) {
      wrong.push(`${id}: ${before.node} and ${turn.node} had turns under one fence`);
    }
  }
  return wrong;
}

/** Calls that failed, and should not have. */
function refusals({ turns, load }: Seen, given: Expected): string[] {
  const expected = new Set<string>();
  if (given.isPlanned !== true) expected.add("OUTCOME_UNKNOWN");
  if (given.isAnotherAuthority === true || given.mayEndCaller === true) {
    expected.add("UNAVAILABLE");
  }
  return load.failures.flatMap(({ id, n, code }) => {
    if (expected.has(code)) return [];
    const turn = turns.find((each) => each.id === id && each.n === n);
    return `${id}: ${n} failed with ${code}, and ran on ${turn?.node ?? "no node"}`;
  });
}

/** A fence names the authority's generation first. */
function authorities(turns: readonly Turn[], { isAnotherAuthority }: Expected): string[] {
  const { size } = new Set(turns.map(({ fence }) => fence.split(".")[0]));
  const wanted = isAnotherAuthority === true ? 2 : 1;
  return size === wanted ? [] : [`turns under ${size} generations of the authority, not ${wanted}`];
}

function pairsOf(turns: readonly Turn[]): (readonly [before: Turn, turn: Turn])[] {
  return turns.slice(1).map((turn, at) => [turns[at]!, turn] as const);
}
