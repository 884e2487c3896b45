/** The life of a shard at one node: what concerns no state leaves it as it is. */
import { describe, expect, test } from "bun:test";
import { type ShardEvent, type ShardState, stepShard } from "../../src/ownership/shard.ts";
import {
  ACTIVE,
  CLAIMING,
  IN_DOUBT,
  MINE,
  RELEASED,
  SEALING,
  STAGED,
  STAGING,
} from "./shard-states.ts";

describe("a state that has nothing to do with an event", () => {
  const events: readonly ShardEvent[] = [
    { kind: "drained", handoff: "h1" },
    { kind: "busy" },
    { kind: "confirmed", handoff: "h1" },
    { kind: "refused", handoff: "h1" },
    { kind: "timeout", handoff: "h1" },
    { kind: "written", owned: MINE },
    { kind: "lost" },
  ];
  const concerned: Readonly<Record<ShardState["kind"], readonly ShardEvent["kind"][]>> = {
    none: [],
    claiming: ["written", "lost"],
    active: [],
    sealing: ["drained", "busy"],
    staging: ["confirmed", "refused", "timeout"],
    inDoubt: ["written", "lost"],
    staged: [],
  };
  const states = [RELEASED, CLAIMING, ACTIVE, SEALING, STAGING, IN_DOUBT, STAGED];
  const rows = states.flatMap((state) =>
    events
      .filter((event) => !concerned[state.kind].includes(event.kind))
      .map((event) => [event.kind, state.kind, state, event] as const),
  );
  test.each(rows)("leaves %s alone in %s", (_, __, state, event) => {
    expect(stepShard(state, event)).toEqual([state, []]);
  });
});
