/** The shards of this node's group: feeds what happens to `ownership/shard.ts`, and acts on it. */
import { hash } from "../base/hash.ts";
import { HANDOFFS_MAX, HANDOFFS_MIN, SEAL_RETRY_MS } from "../base/limits.ts";
import { createRing } from "../base/ring.ts";
import { type MembershipChange, type Plan, planChange } from "../ownership/plan.ts";
import { type ShardEffect, type ShardEvent, stepShard } from "../ownership/shard.ts";
import type { AnswerNote, HandoffNote, TransferNote } from "../protocol/note.ts";
import { shardKey, type ShardRecord } from "../protocol/records.ts";
import type { Channel } from "./channel.ts";
import type { NodeContext } from "./node-context.ts";
import { OwnedShard, type ShardHome } from "./owned-shard.ts";
import { hasStateCodec, loadStateCodec } from "./packet.ts";
import type { RecordWriter } from "./record-writer.ts";
import type { Router } from "./router.ts";

/** What the shards of a node are connected with. */
export interface ShardParts {
  readonly writer: RecordWriter;
  readonly router: Router;
}

/** See the file's header. */
export class Shards implements ShardHome {
  readonly context: NodeContext;
  readonly #parts: ShardParts;
  group = "";
  isLeaving = false;
  /** By number; made when there is something to do with a shard, so that an idle node is small. */
  readonly #shards: (OwnedShard | undefined)[] = [];
  /** Who should own a shard, if anybody can. */
  #targetOf: (number: number) => string | undefined = () => undefined;
  /** How many nodes could own shards. */
  #heirs = 0;
  #released: (() => void) | undefined;
  #places = HANDOFFS_MIN;
  /** Shards that found no place among the moves under way. */
  readonly #queued = new Set<OwnedShard>();
  #looksLater = false;

  constructor(context: NodeContext, parts: ShardParts) {
    this.context = context;
    this.#parts = parts;
  }

  /** Begins to serve shards of `group`; before that this node has none. */
  serve(group: string): void {
    this.group = group;
    this.rebalance();
  }

  /** The shard, if this node may serve it at this moment. */
  serving(number: number): OwnedShard | undefined {
    let shard = this.#shards[number];
    const { view, self } = this.context;
    const isOwned = shard === undefined && view.shard(this.group, number)?.record.owner === self;
    if (isOwned) this.#look((shard = this.at(number)));
    // The clock was read when this burst began; a turn looks again before it starts.
    const { nowMs, leaseUntilMs } = this.context.slices;
    return shard?.accepting === true && nowMs < leaseUntilMs ? shard : undefined;
  }

  /** Remembers this node's own channel to a shard, if the shard is of this group. */
  leaveBy(channel: Channel): void {
    if (channel.group === this.group) this.at(channel.shard).outbound = channel;
  }

  /**
   * Hands everything over and takes nothing in; resolves when this node owns nothing, or when
   * nobody is left to take it and every entity has ended.
   */
  release(): Promise<void> {
    this.isLeaving = true;
    this.rebalance();
    return new Promise((resolve) => {
      this.#released = resolve;
      this.checkReleased();
    });
  }

  /** What a change of membership would move. */
  plan(change: MembershipChange): Plan {
    const { view, options } = this.context;
    return planChange(view, change, { group: this.group, shardCount: options.shardCount, hash });
  }

  /** Computes who should own what, and acts on it. */
  rebalance(): void {
    // A node that joins learns of all sessions there ever were.
    if (this.group === "") return;
    const { view, options } = this.context;
    // Where it is fixed, nobody is ever an heir.
    const targets = this.context.isFixed ? [] : view.targets(this.group);
    const ring = createRing(targets, options.shardCount, hash);
    this.#targetOf = (number) => ring.nodes[ring.targets[number]!]?.incarnation;
    this.#heirs = targets.length;
    const isShared = targets.some(({ incarnation }) => incarnation !== this.context.self);
    if (isShared && !hasStateCodec()) this.#loadCodec();
    this.lookAll();
    if (!this.isLeaving || this.#heirs > 0) return;
    for (const shard of this.#shards) if (shard?.accepting === true) this.#drain(shard);
  }

  #loadCodec(): void {
    const failed = (error: unknown): void =>
      this.context.log.error({ err: error }, "shards stay: devalue cannot be loaded");
    loadStateCodec().then(() => this.#lookAllLater(0), failed);
  }

  /** Looks at every shard again. */
  lookAll(): void {
    if (this.group === "") return;
    for (let number = 0; number < this.context.options.shardCount; number++) {
      const isTouched = this.#shards[number] !== undefined;
      if (isTouched || this.#concerns(number)) this.#look(this.at(number));
    }
    this.checkReleased();
  }

  /** The record of a shard changed. */
  recordChanged(group: string, number: number): void {
    if (group === this.group) this.#look(this.at(number));
  }

  /** The session of `sender` is over. */
  forgetSender(sender: string): void {
    for (const shard of this.#shards) shard?.forgetSender(sender);
  }

  /** Another node tells of a handoff. */
  noted(from: string, note: HandoffNote): void {
    const { handoff, group, kind } = note;
    if (group !== this.group || note.shard >= this.context.options.shardCount) return;
    const shard = this.at(note.shard);
    if (kind === "transfer") return this.#receive(from, shard, note);
    // A flip is written under a valid lease only (O2).
    const isLate = kind === "confirmed" && !this.context.leaseHolds;
    this.happened(shard, { kind: isLate ? "refused" : kind, handoff });
  }

  send(to: string, note: HandoffNote, chars?: number): void {
    if (!this.context.view.isAlive(to)) return;
    this.#parts.router.exits.peerOf(to).outbox(chars).notes.push(note);
  }

  accept(shard: OwnedShard): void {
    this.#parts.router.settle(shard);
    shard.accepting = true;
    this.#parts.router.exits.opened(shard);
    shard.outbound?.pump();
    if (this.isLeaving && this.#heirs === 0) this.#drain(shard);
  }

  #receive(from: string, shard: OwnedShard, transfer: TransferNote): void {
    const { handoff, epoch, counters, isLast } = transfer;
    const rows = shard.arrive(handoff, transfer.rows);
    if (!isLast) return;
    const packets = hasStateCodec() ? this.#parts.router.unpack(rows) : undefined;
    if (packets === undefined || this.isLeaving || !this.context.leaseHolds) {
      return this.#answer(from, shard, { kind: "refused", handoff });
    }
    const before = shard.state;
    this.happened(shard, { kind: "transfer", handoff, epoch }, from);
    if (shard.state !== before) shard.stage({ counters, packets });
  }

  /** The shard, whoever owns it. */
  at(number: number): OwnedShard {
    return (this.#shards[number] ??= new OwnedShard(number, this));
  }

  /** There is something to do with a shard that was not touched yet: give it away, or claim it. */
  #concerns(number: number): boolean {
    const { view, self } = this.context;
    const owner = view.shard(this.group, number)?.record.owner ?? "";
    const isTarget = this.#targetOf(number) === self;
    return owner === self ? !isTarget : isTarget && view.isFree(this.group, number);
  }

  #look(shard: OwnedShard): void {
    const { view, self, leaseHolds } = this.context;
    // Nothing is claimed or given away under a lapsed lease; it is looked at again later.
    if (!leaseHolds) return this.#lookAllLater(SEAL_RETRY_MS);
    const current = view.shard(this.group, shard.number);
    const ownerAlive = !view.isFree(this.group, shard.number);
    const target = this.#targetOf(shard.number);
    if (shard.state.kind === "active" && target !== self && !this.#maySeal(shard)) return;
    this.happened(shard, { kind: "look", self, current, ownerAlive, target });
  }

  #maySeal(shard: OwnedShard): boolean {
    const current = this.context.view.shard(this.group, shard.number);
    if (current !== undefined && current.record.epoch > shard.epoch) return true;
    if (!this.isLeaving && this.context.clock.nowMs() < shard.staysUntilMs) return false;
    if (this.context.moves.underway >= this.#places) this.#queued.add(shard);
    return hasStateCodec() && this.context.moves.underway < this.#places;
  }

  /** A move has ended: one of those that found no place takes its own. */
  #moveNext(): void {
    const places = this.#queued.size === 0 ? HANDOFFS_MIN : this.#places + 1;
    this.#places = Math.min(places, HANDOFFS_MAX);
    for (const shard of this.#queued) {
      if (this.context.moves.underway >= this.#places) return;
      this.#queued.delete(shard);
      this.#look(shard);
    }
  }

  /** Feeds `event` to the state machine; `from` sent it, if a node did. */
  happened(shard: OwnedShard, event: ShardEvent, from = ""): void {
    const [next, effects] = stepShard(shard.state, event);
    const [wasHeld, wasMoving] = [shard.state.kind !== "none", shard.isMoving];
    shard.state = next;
    shard.count(wasMoving, this.#targetOf(shard.number) === this.context.self);
    for (const effect of effects) this.#act(shard, effect, from);
    if (wasMoving && !shard.isMoving) this.#moveNext();
    if (wasHeld && shard.state.kind === "none") this.checkReleased();
  }

  /** Nobody is left to take the shard: its entities end here. */
  #drain(shard: OwnedShard): void {
    shard.accepting = false;
    for (const activation of shard.activations) activation.passivate("shutdown");
    shard.changed();
  }

  /** Nobody waits for {@link release} any more, once nothing is held. */
  checkReleased(): void {
    if (this.#released === undefined) return;
    const isHeld = ({ state, activations }: OwnedShard): boolean =>
      this.#heirs > 0 ? state.kind !== "none" : activations.size > 0;
    if (!this.#shards.some((shard) => shard !== undefined && isHeld(shard))) this.#released();
  }

  #act(shard: OwnedShard, effect: ShardEffect, from: string): void {
    switch (effect.kind) {
      case "write":
        return this.#write(shard, effect.expected, effect.record);
      case "seal":
        return shard.seal();
      case "unseal":
        shard.resume();
        return this.#lookAllLater(SEAL_RETRY_MS);
      case "transfer":
        return shard.transfer(effect.to, effect.handoff);
      case "abort":
        return this.#answer(effect.to, shard, { kind: "aborted", handoff: effect.handoff });
      case "open":
        shard.open(effect.owned.record, effect.handoff);
        if (this.#targetOf(shard.number) !== this.context.self) this.#lookAllLater(0);
        return;
      case "close":
        return shard.close();
      case "confirmed":
      case "refused":
        return this.#answer(from, shard, effect);
      case "discard":
        return shard.stage();
    }
  }

  #write(shard: OwnedShard, expected: number, record: ShardRecord): void {
    const key = shardKey(this.group, shard.number);
    this.#parts.writer.write({ key, expected, value: record }, (result) => {
      if (result.ok) {
        const owned = { revision: result.revision, record };
        return this.happened(shard, { kind: "written", owned });
      }
      this.happened(shard, { kind: "lost" });
      // What stands there instead came in before, and may be the claim of a node that is dead.
      this.#look(shard);
    });
  }

  #answer(to: string, shard: OwnedShard, answer: Pick<AnswerNote, "kind" | "handoff">): void {
    this.send(to, { ...answer, group: this.group, shard: shard.number });
  }

  #lookAllLater(delayMs: number): void {
    if (this.#looksLater) return;
    this.#looksLater = true;
    this.context.after(delayMs, () => {
      this.#looksLater = false;
      this.lookAll();
    });
  }
}
