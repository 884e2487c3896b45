/**
 * The life of one shard at one node, as a pure step function.
 *
 * ```
 *          claim                 target is another node
 *   none ────────▶ claiming ─▶ active ──────▶ sealing ──drained──▶ staging ──staged──▶ inDoubt
 *    ▲  │                        ▲ ▲             │ busy              │ refused, timeout   │
 *    │  └─ record names me ──────┘ └─────────────┴───────────────────┘                    │
 *    └──────────────────────────────────────────────────────── flip known ────────────────┘
 *   none ──transfer──▶ staged ──the record names me and this handoff──▶ active
 * ```
 *
 * The owner of a shard is whoever its record names, and only one compare-and-set changes that (the
 * flip). So: the receiver does not act before the record says so (O2, O4); a flip whose outcome is
 * unknown is asked about, never assumed (O3); an epoch that was released is never taken up again
 * (O5); staged data serves its own handoff only (O6). Turns run in `active` alone. The caller
 * checks the lease before it carries out an effect, and feeds back what came of it.
 */
import type { ShardRecord } from "../protocol/records.ts";
import type { Versioned } from "./view.ts";

type Owned = Versioned<ShardRecord>;

/** Where a shard stands at this node; see the file's header. */
export type ShardState =
  | { readonly kind: "none"; readonly releasedEpoch: number }
  | { readonly kind: "claiming"; readonly releasedEpoch: number }
  | { readonly kind: "active"; readonly owned: Owned }
  | { readonly kind: "sealing"; readonly owned: Owned; readonly to: string }
  | {
      readonly kind: "staging" | "inDoubt";
      readonly owned: Owned;
      readonly to: string;
      readonly handoff: string;
    }
  | {
      readonly kind: "staged";
      readonly releasedEpoch: number;
      readonly handoff: string;
      readonly epoch: number;
    };

/** What happens to a shard. */
export type ShardEvent =
  /** The view of the cluster changed, or it is time to look again. */
  | {
      readonly kind: "look";
      readonly self: string;
      readonly current: Owned | undefined;
      /** False when the owner's session is over, or nobody owns the shard. */
      readonly ownerAlive: boolean;
      /** Who should own it, if anybody can. */
      readonly target: string | undefined;
    }
  | { readonly kind: "drained"; readonly handoff: string }
  | { readonly kind: "busy" }
  | { readonly kind: "confirmed" | "refused" | "timeout" | "aborted"; readonly handoff: string }
  | { readonly kind: "transfer"; readonly handoff: string; readonly epoch: number }
  /** The answer to a claim or a flip. */
  | { readonly kind: "written"; readonly owned: Owned }
  | { readonly kind: "lost" };

/** What the caller has to do. */
export type ShardEffect =
  | { readonly kind: "write"; readonly expected: number; readonly record: ShardRecord }
  /** Stop accepting, and answer `drained` or `busy`. */
  | { readonly kind: "seal"; readonly to: string }
  | { readonly kind: "unseal" }
  | { readonly kind: "transfer"; readonly to: string; readonly handoff: string }
  | { readonly kind: "abort"; readonly to: string; readonly handoff: string }
  /** Serve the shard; with `handoff` from what was staged for it. */
  | { readonly kind: "open"; readonly owned: Owned; readonly handoff: string | undefined }
  | { readonly kind: "close" }
  | { readonly kind: "confirm" | "refuse" | "discard"; readonly handoff: string };

type Step = [ShardState, readonly ShardEffect[]];
type Look = Extract<ShardEvent, { kind: "look" }>;

/** A shard this node has nothing to do with. */
export const NO_SHARD: ShardState = { kind: "none", releasedEpoch: 0 };

/** Pure; see the file's header. */
export function stepShard(state: ShardState, event: ShardEvent): Step {
  switch (event.kind) {
    case "look":
      return look(state, event);
    case "transfer":
      return receive(state, event.handoff, event.epoch);
    case "written":
      return written(state, event.owned);
    case "lost":
      return lost(state);
    default:
      return handoff(state, event);
  }
}

function look(state: ShardState, event: Look): Step {
  switch (state.kind) {
    case "none":
    case "claiming":
      return lookUnowned(state, event);
    case "staged":
      return lookStaged(state, event);
    default:
      return lookOwned(state, event);
  }
}

function lookUnowned(
  state: Extract<ShardState, { kind: "none" | "claiming" }>,
  { self, current, ownerAlive, target }: Look,
): Step {
  if (current === undefined) return [state, []];
  const { record } = current;
  if (record.owner === self && record.epoch > state.releasedEpoch) {
    if (record.handoff === null) return open(current, undefined);
    // A handoff that staged nothing here: its memory is gone, so nobody may believe in it (O4).
    return state.kind === "claiming" ? [state, []] : claim(state, self, current);
  }
  const free = record.owner === null || (!ownerAlive && record.owner !== self);
  if (state.kind === "claiming" || !free || target !== self) return [state, []];
  return claim(state, self, current);
}

function claim(
  { releasedEpoch }: { readonly releasedEpoch: number },
  self: string,
  { revision: expected, record: { epoch } }: Owned,
): Step {
  const record = { owner: self, epoch: epoch + 1, cleanSince: epoch + 1, handoff: null };
  return [{ kind: "claiming", releasedEpoch }, [{ kind: "write", expected, record }]];
}

function lookStaged(state: Extract<ShardState, { kind: "staged" }>, event: Look): Step {
  const { current, self } = event;
  if (current === undefined) return [state, []];
  const { owner, epoch, handoff } = current.record;
  if (owner === self && handoff === state.handoff && epoch === state.epoch + 1) {
    return open(current, handoff);
  }
  // O6: the donor died or went on without this handoff; what it staged may be out of date.
  // A record that is older than the donor's says nothing: the newer one is on its way.
  if (epoch < state.epoch || (epoch === state.epoch && event.ownerAlive)) return [state, []];
  const { releasedEpoch } = state;
  const [next, effects] = lookUnowned({ kind: "none", releasedEpoch }, event);
  return [next, [{ kind: "discard", handoff: state.handoff }, ...effects]];
}

function lookOwned(
  state: Extract<ShardState, { owned: Owned }>,
  { self, current, target }: Look,
): Step {
  if (current !== undefined && current.record.epoch > state.owned.record.epoch) {
    const [next, effects] = lookUnowned(
      { kind: "none", releasedEpoch: state.owned.record.epoch },
      { kind: "look", self, current, ownerAlive: true, target },
    );
    return [next, [{ kind: "close" }, ...effects]];
  }
  switch (state.kind) {
    case "active":
      if (target === self || target === undefined) return [state, []];
      return [{ kind: "sealing", owned: state.owned, to: target }, [{ kind: "seal", to: target }]];
    case "sealing":
      return target === state.to ? [state, []] : resume(state.owned);
    case "staging":
      if (target === state.to) return [state, []];
      return resume(state.owned, { kind: "abort", to: state.to, handoff: state.handoff });
    case "inDoubt":
      return [state, []];
  }
}

function handoff(
  state: ShardState,
  event: Exclude<ShardEvent, { kind: "look" | "transfer" | "written" | "lost" }>,
): Step {
  if (event.kind === "aborted") {
    if (state.kind !== "staged" || state.handoff !== event.handoff) return [state, []];
    const { releasedEpoch } = state;
    return [{ kind: "none", releasedEpoch }, [{ kind: "discard", handoff: event.handoff }]];
  }
  if (state.kind === "sealing") {
    if (event.kind === "busy") return resume(state.owned);
    if (event.kind !== "drained") return [state, []];
    const { owned, to } = state;
    const { handoff } = event;
    return [{ kind: "staging", owned, to, handoff }, [{ kind: "transfer", to, handoff }]];
  }
  if (state.kind !== "staging" || event.kind === "busy" || state.handoff !== event.handoff) {
    return [state, []];
  }
  if (event.kind === "confirmed") return flip(state);
  if (event.kind === "refused") return resume(state.owned);
  if (event.kind !== "timeout") return [state, []];
  return resume(state.owned, { kind: "abort", to: state.to, handoff: state.handoff });
}

function flip(state: Extract<ShardState, { kind: "staging" | "inDoubt" }>): Step {
  const { owned, to, handoff } = state;
  const { epoch, cleanSince } = owned.record;
  const record = { owner: to, epoch: epoch + 1, cleanSince, handoff };
  return [
    { kind: "inDoubt", owned, to, handoff },
    [{ kind: "write", expected: owned.revision, record }],
  ];
}

function receive(state: ShardState, handoff: string, epoch: number): Step {
  if (state.kind === "staged" && state.handoff === handoff) {
    return [state, [{ kind: "confirm", handoff }]];
  }
  const isFree = state.kind === "none" || (state.kind === "staged" && epoch >= state.epoch);
  // What an earlier owner sent, and comes late, must not take the place of what a later one sent.
  const fits = isFree && epoch >= state.releasedEpoch;
  if (!fits) return [state, [{ kind: "refuse", handoff }]];
  const staged: ShardState = { kind: "staged", releasedEpoch: state.releasedEpoch, handoff, epoch };
  const confirm: ShardEffect = { kind: "confirm", handoff };
  if (state.kind === "none") return [staged, [confirm]];
  return [staged, [{ kind: "discard", handoff: state.handoff }, confirm]];
}

/** The authority carried out what this node wrote, or says who wrote something else. */
function written(state: ShardState, owned: Owned): Step {
  if (state.kind === "claiming") return open(owned, undefined);
  if (state.kind !== "inDoubt") return [state, []];
  return [{ kind: "none", releasedEpoch: state.owned.record.epoch }, [{ kind: "close" }]];
}

function lost(state: ShardState): Step {
  if (state.kind === "claiming") {
    return [{ kind: "none", releasedEpoch: state.releasedEpoch }, []];
  }
  if (state.kind !== "inDoubt") return [state, []];
  // Somebody wrote over this owner: that takes a death mark, so nothing here is valid any more.
  return [{ kind: "none", releasedEpoch: state.owned.record.epoch }, [{ kind: "close" }]];
}

function open(owned: Owned, handoff: string | undefined): Step {
  return [{ kind: "active", owned }, [{ kind: "open", owned, handoff }]];
}

function resume(owned: Owned, ...before: readonly ShardEffect[]): Step {
  return [{ kind: "active", owned }, [...before, { kind: "unseal" }]];
}
