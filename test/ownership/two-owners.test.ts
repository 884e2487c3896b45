/**
 * Nodes that share shards, with news that come late, doubled and in any order, nodes that die and
 * answers that are lost: at no time do two of them serve one shard under the same authority.
 */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  NO_SHARD,
  type ShardEffect,
  type ShardEvent,
  type ShardState,
  stepShard,
} from "../../src/ownership/shard.ts";
import type { Versioned } from "../../src/ownership/view.ts";
import type { ShardRecord } from "../../src/protocol/records.ts";

type Owned = Versioned<ShardRecord>;

interface Member {
  readonly id: string;
  state: ShardState;
  /** The newest record it has heard of; news are taken in by their revision. */
  known: Owned;
  isAlive: boolean;
  /** The epoch it serves, while it does. */
  serves: number | undefined;
}

type Post = { readonly to: Member; readonly event: ShardEvent };

/** One shard, its record and a few nodes; every message waits until chance delivers it. */
class World {
  record: Owned = { revision: 1, record: { owner: "a", epoch: 1, cleanSince: 1, handoff: null } };
  readonly members: readonly Member[];
  readonly post: Post[] = [];
  readonly opened: number[] = [];
  target = "a";
  #handoffs = 0;

  constructor() {
    this.members = ["a", "b", "c"].map((id) => ({
      id,
      state: NO_SHARD,
      known: this.record,
      isAlive: true,
      serves: undefined,
    }));
    for (const member of this.members) this.look(member);
  }

  look(member: Member): void {
    const { owner } = member.known.record;
    const ownerAlive = this.#member(owner)?.isAlive === true;
    const { known: current, id: self } = member;
    this.step(member, { kind: "look", self, current, ownerAlive, target: this.target });
  }

  step(member: Member, event: ShardEvent): void {
    if (!member.isAlive) return;
    const [next, effects] = stepShard(member.state, event);
    member.state = next;
    for (const effect of effects) this.#act(member, effect);
  }

  /** Delivers one of the messages under way, and maybe keeps it for another time. */
  deliver(which: number, isKept: boolean): void {
    const index = which % Math.max(1, this.post.length);
    const post = this.post[index];
    if (post === undefined) return;
    if (!isKept) this.post.splice(index, 1);
    this.step(post.to, post.event);
  }

  learn(member: Member, owned: Owned): void {
    if (owned.revision > member.known.revision) member.known = owned;
    this.look(member);
  }

  kill(member: Member): void {
    if (this.members.filter(({ isAlive }) => isAlive).length === 1) return;
    member.isAlive = false;
    member.serves = undefined;
    const alive = this.members.filter(({ isAlive }) => isAlive);
    if (this.target === member.id) this.target = alive[0]!.id;
    for (const each of alive) this.look(each);
  }

  #act(member: Member, effect: ShardEffect): void {
    switch (effect.kind) {
      case "write": {
        // Carried out at once; that the answer comes, and when, is up to chance.
        if (this.record.revision !== effect.expected) {
          this.post.push({ to: member, event: { kind: "lost" } });
          return;
        }
        this.record = { revision: effect.expected + 1, record: effect.record };
        this.post.push({ to: member, event: { kind: "written", owned: this.record } });
        return;
      }
      case "seal":
        member.serves = undefined;
        this.post.push({ to: member, event: { kind: "busy" } });
        this.post.push({ to: member, event: { kind: "drained", handoff: `h${++this.#handoffs}` } });
        return;
      case "unseal":
        member.serves = epochOf(member);
        return;
      case "transfer": {
        const { handoff, to } = effect;
        const transfer = { kind: "transfer", handoff, epoch: epochOf(member)! } as const;
        this.post.push({ to: this.#member(to)!, event: transfer });
        this.post.push({ to: member, event: { kind: "timeout", handoff } });
        return;
      }
      case "abort": {
        const { handoff } = effect;
        this.post.push({ to: this.#member(effect.to)!, event: { kind: "aborted", handoff } });
        return;
      }
      case "confirmed":
      case "refused": {
        const kind = effect.kind === "confirmed" ? "confirmed" : "refused";
        const donor = this.#member(member.known.record.owner);
        if (donor !== undefined)
          this.post.push({ to: donor, event: { kind, handoff: effect.handoff } });
        return;
      }
      case "open":
        member.serves = effect.owned.record.epoch;
        this.opened.push(effect.owned.record.epoch);
        return;
      case "close":
        member.serves = undefined;
        return;
      case "discard":
        return;
    }
  }

  #member(id: string | null): Member | undefined {
    return this.members.find((member) => member.id === id);
  }
}

function epochOf({ state }: Member): number | undefined {
  return "owned" in state ? state.owned.record.epoch : undefined;
}

type Chance =
  | { readonly deliver: number; readonly isKept: boolean }
  | { readonly learn: number }
  | { readonly target: number }
  | { readonly kill: number };

const chance: fc.Arbitrary<Chance> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ deliver: fc.nat(20), isKept: fc.boolean() }) },
  { weight: 6, arbitrary: fc.record({ learn: fc.nat(2) }) },
  { weight: 3, arbitrary: fc.record({ target: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ kill: fc.nat(2) }) },
);

test("a shard is served by one node at a time, and each epoch is opened once", () => {
  fc.assert(
    fc.property(fc.array(chance, { maxLength: 150 }), (chances) => {
      const world = new World();
      for (const each of chances) {
        if ("deliver" in each) world.deliver(each.deliver, each.isKept);
        else if ("learn" in each) world.learn(world.members[each.learn]!, world.record);
        else if ("kill" in each) world.kill(world.members[each.kill]!);
        else {
          const member = world.members[each.target]!;
          if (member.isAlive) world.target = member.id;
          for (const one of world.members) world.look(one);
        }
        const serving = world.members.filter(({ serves }) => serves !== undefined);
        expect(serving.map(({ id, serves }) => [id, serves]).length).toBeLessThanOrEqual(1);
        for (const { id, serves } of serving) {
          expect([id, serves]).toEqual([world.record.record.owner!, world.record.record.epoch]);
        }
      }
      expect(new Set(world.opened).size).toBe(world.opened.length);
    }),
    { numRuns: 3_000 },
  );
});

test("a shard comes to rest at its target when all messages arrive", () => {
  fc.assert(
    fc.property(fc.array(chance, { maxLength: 100 }), (chances) => {
      const world = new World();
      for (const each of chances) {
        if ("deliver" in each) world.deliver(each.deliver, each.isKept);
        else if ("target" in each && world.members[each.target]!.isAlive) {
          world.target = world.members[each.target]!.id;
        } else if ("kill" in each) world.kill(world.members[each.kill]!);
      }
      for (let round = 0; round < 200; round++) {
        for (const member of world.members) world.learn(member, world.record);
        // Nobody is busy any more, and answers come before deadlines.
        const index = world.post.findIndex(
          ({ event }) => event.kind !== "busy" && event.kind !== "timeout",
        );
        if (index === -1) {
          world.deliver(0, false);
        } else {
          const [post] = world.post.splice(index, 1);
          world.step(post!.to, post!.event);
        }
      }
      for (const member of world.members) world.learn(member, world.record);
      expect(world.record.record.owner).toBe(world.target);
      const serving = world.members.filter(({ serves }) => serves !== undefined);
      expect(serving.map(({ id }) => id)).toEqual([world.target]);
    }),
    { numRuns: 500 },
  );
});
