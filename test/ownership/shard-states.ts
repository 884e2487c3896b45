/** A shard's states, events and records, as its tests need them. */
import type { ShardEffect, ShardEvent, ShardState } from "../../src/ownership/shard.ts";
import type { Versioned } from "../../src/ownership/view.ts";
import type { ShardRecord } from "../../src/protocol/records.ts";

type Owned = Versioned<ShardRecord>;
type Look = Extract<ShardEvent, { kind: "look" }>;

export const SELF = "self";
export const OTHER = "other";

export function owned(
  owner: string | null,
  epoch: number,
  more: Partial<ShardRecord> & { revision?: number } = {},
): Owned {
  const { revision = 10 * epoch, ...rest } = more;
  return { revision, record: { owner, epoch, cleanSince: 1, handoff: null, ...rest } };
}

export function look(current: Owned | undefined, more: Partial<Look> = {}): Look {
  return { kind: "look", self: SELF, current, ownerAlive: true, target: SELF, ...more };
}

export const MINE = owned(SELF, 3);
export const ACTIVE: ShardState = { kind: "active", owned: MINE };
export const SEALING: ShardState = { kind: "sealing", owned: MINE, to: OTHER };
export const STAGING: ShardState = { kind: "staging", owned: MINE, to: OTHER, handoff: "h1" };
export const IN_DOUBT: ShardState = { kind: "inDoubt", owned: MINE, to: OTHER, handoff: "h1" };
export const CLAIMING: ShardState = { kind: "claiming", releasedEpoch: 2 };
export const STAGED: ShardState = { kind: "staged", releasedEpoch: 0, handoff: "h1", epoch: 3 };
export const RELEASED: ShardState = { kind: "none", releasedEpoch: 3 };
export const FLIP: ShardRecord = { owner: OTHER, epoch: 4, cleanSince: 1, handoff: "h1" };

/** What happens to a shard in a state, and what comes of it. */
export type Row = readonly [
  what: string,
  before: ShardState,
  event: ShardEvent,
  after: ShardState,
  effects: readonly ShardEffect[],
];
