/** What must hold whatever happened to the processes. */
import type { Load } from "./rig.ts";
import type { Turn } from "./probe.ts";

/** How long a turn may have run before it counts as one that outlived its lease. */
const LEASE_NS: Readonly<Record<"fast" | "normal", number>> = { fast: 0.8e9, normal: 3e9 };

/** Everything that is wrong; nothing when all is well. */
export function judge(turns: readonly Turn[], load: Load, heartbeat: "fast" | "normal"): string[] {
  const wrong: string[] = [];
  const byEntity = new Map<string, Turn[]>();
  for (const turn of turns) byEntity.set(turn.id, [...(byEntity.get(turn.id) ?? []), turn]);
  for (const [id, answered] of load.answered) {
    const ran = new Set(byEntity.get(id)?.map(({ n }) => n));
    for (const n of answered)
      if (!ran.has(n)) wrong.push(`${id}: ${n} was answered and is missing`);
  }
  for (const [id, all] of byEntity) {
    // One that outlived its lease is nobody's: what it did must not have been answered.
    const isZombie = ({ startNs, endNs }: Turn): boolean => endNs - startNs >= LEASE_NS[heartbeat];
    const live = all.filter((turn) => !isZombie(turn)).sort((a, b) => a.startNs - b.startNs);
    for (const [at, turn] of live.entries()) {
      const before = live[at - 1];
      if (before === undefined) continue;
      if (turn.startNs < before.endNs && turn.node !== before.node) {
        wrong.push(`${id}: turns on ${before.node} and ${turn.node} at once`);
      }
      if (turn.n === before.n) wrong.push(`${id}: ${turn.n} ran twice`);
      else if (turn.n < before.n) wrong.push(`${id}: ${turn.n} ran after ${before.n}`);
      if (turn.fence < before.fence) wrong.push(`${id}: the fence fell with ${turn.n}`);
    }
  }
  return wrong;
}
