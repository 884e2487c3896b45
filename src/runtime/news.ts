/** Makes cluster events of what changed in a node's view. */
import type { ViewChange } from "../ownership/view.ts";
import type { NodeContext } from "./node-context.ts";

type Change<K extends ViewChange["kind"]> = Extract<ViewChange, { kind: K }>;

/** Tells of a change; what a node learns while it joins is no news. */
export function tell(context: NodeContext, change: ViewChange): void {
  if (!context.hasJoined) return;
  if (change.kind === "session") tellSession(context, change);
  if (change.kind === "shard") tellMove(context, change);
  if (change.kind !== "leader") return;
  const { incarnation } = change;
  context.events.emit("leader-elected", { node: nameOf(context, incarnation) ?? incarnation });
}

function tellMove(context: NodeContext, { group, shard, before }: Change<"shard">): void {
  const { owner, epoch } = context.view.shard(group, shard)!.record;
  const to = nameOf(context, owner);
  if (owner === before || to === undefined) return;
  context.events.emit("shard-rebalanced", { shard, from: nameOf(context, before), to, epoch });
}

function tellSession({ events, view }: NodeContext, change: Change<"session">): void {
  const { incarnation, before } = change;
  const { node, endpoint, state } = view.sessions.get(incarnation)!.record;
  if (isUp(before) && !isUp(state)) {
    events.emit("node-left", { node, reason: state === "left" ? "left" : "failed" });
  }
  if (!isUp(before) && isUp(state)) {
    events.emit("node-joined", { node, endpoint: endpoint ?? undefined });
  }
}

function nameOf({ view }: NodeContext, incarnation: string | null | undefined): string | undefined {
  return view.sessions.get(incarnation ?? "")?.record.node;
}

function isUp(state: Change<"session">["before"]): boolean {
  return state === "up" || state === "leaving";
}
