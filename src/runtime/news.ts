/** Makes cluster events of what changed in a node's view. */
import type { ViewChange } from "../ownership/view.ts";
import type { SessionRecord } from "../protocol/records.ts";
import type { NodeContext } from "./node-context.ts";

/** Somebody leads. */
export function tellLeader(context: NodeContext, incarnation: string): void {
  context.events.emit("leader-elected", { node: nameOf(context, incarnation) ?? incarnation });
}

/** The record of a shard changed. */
export function tellMove(
  context: NodeContext,
  { group, shard, before }: Extract<ViewChange, { kind: "shard" }>,
): void {
  const { owner, epoch } = context.view.shard(group, shard)!.record;
  const to = nameOf(context, owner);
  if (owner === before || to === undefined) return;
  context.events.emit("shard-rebalanced", { shard, from: nameOf(context, before), to, epoch });
}

/** The state of a session changed. */
export function tellSession(
  { events, view }: NodeContext,
  incarnation: string,
  before: SessionRecord["state"] | undefined,
): void {
  const { node, endpoint, state } = view.sessions.get(incarnation)!.record;
  if (state === "dead" || state === "left") {
    const reason = state === "dead" ? "failed" : "left";
    if (before !== undefined) events.emit("node-left", { node, reason });
  } else if (before === undefined) {
    events.emit("node-joined", { node, endpoint: endpoint ?? undefined });
  }
}

function nameOf({ view }: NodeContext, incarnation: string | null | undefined): string | undefined {
  return view.sessions.get(incarnation ?? "")?.record.node;
}
