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

type HandoffNews = "drained" | "confirmed" | "refused" | "timeout" | "aborted";

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
  | { readonly kind: "busy"; readonly handoff?: never }
  | { readonly kind: HandoffNews; readonly handoff: string }
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
  | { readonly kind: "transfer" | "abort"; readonly to: string; readonly handoff: string }
  /** Serve the shard; with `handoff` from what was staged for it. */
  | { readonly kind: "open"; readonly owned: Owned; readonly handoff: string | undefined }
  | { readonly kind: "close" }
  /** To the donor, whose news this was; and throw away what was staged. */
  | { readonly kind: "confirmed" | "refused"; readonly handoff: string }
  | { readonly kind: "discard"; readonly handoff: string };

type Step = [ShardState, readonly ShardEffect[]];
type State<K extends ShardState["kind"]> = Extract<ShardState, { readonly kind: K }>;
type Look = Extract<ShardEvent, { readonly kind: "look" }>;
type HandoffEvent = Extract<ShardEvent, { readonly kind: "busy" | HandoffNews }>;
type Giving = State<"staging" | "inDoubt">;

/** A shard this node has nothing to do with. */
export const NO_SHARD: ShardState = { kind: "none", releasedEpoch: 0 };

/** Pure; see the file's header. */
export function stepShard(state: ShardState, event: ShardEvent): Step {
  switch (event.kind) {
    case "look":
      if ("owned" in state) return lookOwned(state, event);
      return state.kind === "staged" ? lookStaged(state, event) : lookUnowned(state, event);
    case "transfer":
      return receive(state, event.handoff, event.epoch);
    case "written":
      return settle(state, event.owned);
    case "lost":
      return settle(state, undefined);
    default:
      return handOver(state, event);
  }
}

function lookUnowned(
  state: State<"none" | "claiming">,
  { self, current, ownerAlive, target }: Look,
): Step {
  if (current === undefined) return [state, []];
  const { owner, epoch, handoff } = current.record;
  const isMine = owner === self && epoch > state.releasedEpoch;
  if (isMine && handoff === null) return open(current);
  const isFree = owner === null || (!ownerAlive && owner !== self);
  // A handoff that staged nothing here: its memory is gone, so nobody may believe in it (O4).
  const mayClaim = isMine || (isFree && target === self);
  if (state.kind === "claiming" || !mayClaim) return [state, []];
  const record = { owner: self, epoch: epoch + 1, cleanSince: epoch + 1, handoff: null };
  return [{ ...state, kind: "claiming" }, [{ kind: "write", expected: current.revision, record }]];
}

function lookStaged(state: State<"staged">, event: Look): Step {
  const { current, self, ownerAlive } = event;
  if (current === undefined) return [state, []];
  const { owner, epoch, handoff } = current.record;
  if (owner === self && handoff === state.handoff && epoch === state.epoch + 1) {
    return open(current, handoff);
  }
  // O6: the donor died or went on without this handoff; what it staged may be out of date.
  // A record that is older than the donor's says nothing: the newer one is on its way.
  if (epoch < state.epoch || (epoch === state.epoch && ownerAlive)) return [state, []];
  return release(state.releasedEpoch, { kind: "discard", handoff: state.handoff }, event);
}

function lookOwned(state: State<"active" | "sealing" | "staging" | "inDoubt">, event: Look): Step {
  const { current, self, target } = event;
  const { owned } = state;
  if (current !== undefined && current.record.epoch > owned.record.epoch) {
    return release(owned.record.epoch, { kind: "close" }, { ...event, ownerAlive: true });
  }
  if (state.kind === "active") {
    if (target === self || target === undefined) return [state, []];
    return [{ kind: "sealing", owned, to: target }, [{ kind: "seal", to: target }]];
  }
  if (state.kind === "inDoubt" || target === state.to) return [state, []];
  return state.kind === "sealing" ? resume(owned) : abort(state);
}

function handOver(state: ShardState, event: HandoffEvent): Step {
  if (state.kind === "sealing") {
    if (event.kind === "busy") return resume(state.owned);
    if (event.kind !== "drained") return [state, []];
    const { to } = state;
    const { handoff } = event;
    return [{ ...state, kind: "staging", handoff }, [{ kind: "transfer", to, handoff }]];
  }
  if (!("handoff" in state) || state.handoff !== event.handoff) return [state, []];
  if (state.kind === "staged" && event.kind === "aborted") {
    return release(state.releasedEpoch, { kind: "discard", handoff: state.handoff });
  }
  if (state.kind !== "staging") return [state, []];
  if (event.kind === "confirmed") return flip(state);
  if (event.kind === "refused") return resume(state.owned);
  return event.kind === "timeout" ? abort(state) : [state, []];
}

function flip(state: Giving): Step {
  const { owned, to, handoff } = state;
  const { epoch, cleanSince } = owned.record;
  const record = { owner: to, epoch: epoch + 1, cleanSince, handoff };
  return [{ ...state, kind: "inDoubt" }, [{ kind: "write", expected: owned.revision, record }]];
}

function receive(state: ShardState, handoff: string, epoch: number): Step {
  const confirm: ShardEffect = { kind: "confirmed", handoff };
  if (state.kind === "staged" && state.handoff === handoff) return [state, [confirm]];
  const isFree = state.kind === "none" || (state.kind === "staged" && epoch >= state.epoch);
  // What an earlier owner sent, and comes late, must not take the place of what a later one sent.
  if (!isFree || epoch < state.releasedEpoch) return [state, [{ kind: "refused", handoff }]];
  const { releasedEpoch } = state;
  const staged: ShardState = { kind: "staged", releasedEpoch, handoff, epoch };
  if (state.kind === "none") return [staged, [confirm]];
  return [staged, [{ kind: "discard", handoff: state.handoff }, confirm]];
}

/** The authority carried out what this node wrote (`owned`), or somebody else wrote before it. */
function settle(state: ShardState, owned: Owned | undefined): Step {
  if (state.kind === "claiming") {
    return owned === undefined ? [{ ...state, kind: "none" }, []] : open(owned);
  }
  if (state.kind !== "inDoubt") return [state, []];
  // Who wrote over this owner had found it dead, so nothing here is valid any more: closed too.
  return release(state.owned.record.epoch, { kind: "close" });
}

function open(owned: Owned, handoff?: string): Step {
  return [{ kind: "active", owned }, [{ kind: "open", owned, handoff }]];
}

function resume(owned: Owned, ...before: readonly ShardEffect[]): Step {
  return [{ kind: "active", owned }, [...before, { kind: "unseal" }]];
}

function abort({ owned, to, handoff }: Giving): Step {
  return resume(owned, { kind: "abort", to, handoff });
}

/** What this node had is over; then it looks at the shard as one of others, if it just looked. */
function release(releasedEpoch: number, effect: ShardEffect, event?: Look): Step {
  const none = { kind: "none", releasedEpoch } as const;
  const [next, effects] = event === undefined ? [none, []] : lookUnowned(none, event);
  return [next, [effect, ...effects]];
}
