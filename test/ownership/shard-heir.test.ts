/** The life of a shard at one node: staged, opened, released (O4 to O6). */
import { expect, test } from "bun:test";
import { NO_SHARD, stepShard } from "../../src/ownership/shard.ts";
import {
  ACTIVE,
  FLIP,
  look,
  MINE,
  OTHER,
  owned,
  RELEASED,
  type Row,
  SELF,
  STAGED,
} from "./shard-states.ts";

const TRANSITIONS: readonly Row[] = [
  [
    "what a transfer brings is staged and confirmed, not opened (O2)",
    NO_SHARD,
    { kind: "transfer", handoff: "h1", epoch: 3 },
    STAGED,
    [{ kind: "confirmed", handoff: "h1" }],
  ],
  [
    "a transfer that comes twice is confirmed twice",
    STAGED,
    { kind: "transfer", handoff: "h1", epoch: 3 },
    STAGED,
    [{ kind: "confirmed", handoff: "h1" }],
  ],
  [
    "a newer transfer replaces what was staged (O6)",
    STAGED,
    { kind: "transfer", handoff: "h2", epoch: 3 },
    { kind: "staged", releasedEpoch: 0, handoff: "h2", epoch: 3 },
    [
      { kind: "discard", handoff: "h1" },
      { kind: "confirmed", handoff: "h2" },
    ],
  ],
  [
    "a late transfer of an earlier owner is refused, and what was staged stays (O6)",
    STAGED,
    { kind: "transfer", handoff: "h0", epoch: 2 },
    STAGED,
    [{ kind: "refused", handoff: "h0" }],
  ],
  [
    "what was staged stays while only an older record is known here",
    STAGED,
    look(owned("third", 2)),
    STAGED,
    [],
  ],
  [
    "a transfer to the owner itself is refused",
    ACTIVE,
    { kind: "transfer", handoff: "h2", epoch: 3 },
    ACTIVE,
    [{ kind: "refused", handoff: "h2" }],
  ],
  [
    "a transfer of an epoch before the one that was released is refused (O5)",
    RELEASED,
    { kind: "transfer", handoff: "h0", epoch: 2 },
    RELEASED,
    [{ kind: "refused", handoff: "h0" }],
  ],
  [
    "what was staged is discarded when the donor calls it off",
    STAGED,
    { kind: "aborted", handoff: "h1" },
    NO_SHARD,
    [{ kind: "discard", handoff: "h1" }],
  ],
  [
    "what was staged stays when another handoff is called off",
    STAGED,
    { kind: "aborted", handoff: "h0" },
    STAGED,
    [],
  ],
  [
    "what was staged waits while the donor owns the shard (O4)",
    STAGED,
    look(owned(OTHER, 3)),
    STAGED,
    [],
  ],
  [
    "what was staged is opened when the record names its handoff (O4)",
    STAGED,
    look({ revision: 31, record: { ...FLIP, owner: SELF } }),
    { kind: "active", owned: { revision: 31, record: { ...FLIP, owner: SELF } } },
    [{ kind: "open", owned: { revision: 31, record: { ...FLIP, owner: SELF } }, handoff: "h1" }],
  ],
  [
    "what was staged is not opened under another epoch than the next (O4)",
    STAGED,
    look(owned(SELF, 6, { handoff: "h1" })),
    { kind: "claiming", releasedEpoch: 0 },
    [
      { kind: "discard", handoff: "h1" },
      {
        kind: "write",
        expected: 60,
        record: { owner: SELF, epoch: 7, cleanSince: 7, handoff: null },
      },
    ],
  ],
  [
    "what was staged is discarded when the donor dies, and the claim starts from nothing (O6)",
    STAGED,
    look(owned(OTHER, 3), { ownerAlive: false }),
    { kind: "claiming", releasedEpoch: 0 },
    [
      { kind: "discard", handoff: "h1" },
      {
        kind: "write",
        expected: 30,
        record: { owner: SELF, epoch: 4, cleanSince: 4, handoff: null },
      },
    ],
  ],
  [
    "what was staged is discarded when the donor went on without it (O6)",
    STAGED,
    look(owned("third", 4)),
    NO_SHARD,
    [{ kind: "discard", handoff: "h1" }],
  ],
  [
    "a handoff of which nothing is staged here is opened by a claim, from nothing (O4)",
    NO_SHARD,
    look(owned(SELF, 4, { handoff: "h9" })),
    { kind: "claiming", releasedEpoch: 0 },
    [
      {
        kind: "write",
        expected: 40,
        record: { owner: SELF, epoch: 5, cleanSince: 5, handoff: null },
      },
    ],
  ],
  [
    "an epoch that was released is not taken up again, however late its news (O5)",
    RELEASED,
    look(MINE),
    RELEASED,
    [],
  ],
  [
    "a later epoch after a release opens",
    RELEASED,
    look(owned(SELF, 5)),
    { kind: "active", owned: owned(SELF, 5) },
    [{ kind: "open", owned: owned(SELF, 5), handoff: undefined }],
  ],
];

test.each([...TRANSITIONS])("%s", (_, before, event, after, effects) => {
  expect(stepShard(before, event)).toEqual([after, [...effects]]);
});
