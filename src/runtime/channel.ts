/**
 * This node's channel to one shard: messages that its owner has not accepted yet, in their order,
 * whoever the owner is by now. The rules M1 to M3 stand in `ownership/channel.ts`.
 */
import Denque from "denque";
import { CatgaError } from "../base/errors.ts";
import { CHANNEL_WINDOW, WAITING_SENDS_MAX } from "../base/limits.ts";
import { type ChannelCounter, recover } from "../ownership/channel.ts";
import type { RedirectNote } from "../protocol/note.ts";
import type { ShardRecord } from "../protocol/records.ts";
import type { NodeContext } from "./node-context.ts";
import type { Peer } from "./peer.ts";
import { outcomeUnknown } from "./call.ts";
import type { Lane, RemoteCall } from "./remote-call.ts";

/** What surrounds a channel. */
export interface ChannelOwner {
  readonly context: NodeContext;
  /** Where the shard is; nothing while nobody knows, or somebody is about to serve it. */
  route(group: string, shard: number): Route | undefined;
  /** Runs a message here, whose shard has come to this node while the message waited. */
  deliverHere(call: RemoteCall, shard: number): void;
  /** How far this node's channel has come at the shard, which is here now. */
  counterHere(shard: number, channel: number): ChannelCounter | undefined;
}

/** Where messages to a shard go, or which node has it and is away. */
export type Route =
  | { readonly to: Peer | "here"; readonly record: ShardRecord }
  | { readonly away: string };

/** See the file's header. */
export class Channel implements Lane {
  readonly group: string;
  readonly shard: number;
  /** Rises when the shard's counters are lost and numbering has to begin anew. */
  number = 0;
  readonly #owner: ChannelOwner;
  #epoch = 0;
  #sequence = 0;
  /** Where messages go, until news may have changed it. */
  #peer: Peer | undefined;
  /** Numbered and not accepted. */
  readonly #numbered = new Denque<RemoteCall>();
  /** Not numbered yet, so free to go anywhere. */
  readonly #unsent = new Denque<RemoteCall>();
  #mustResend = false;
  #isHeld = false;

  constructor(group: string, shard: number, owner: ChannelOwner) {
    this.group = group;
    this.shard = shard;
    this.#owner = owner;
  }

  /** True when nothing waits for acceptance: local calls may pass by. */
  get isIdle(): boolean {
    return this.#numbered.length === 0 && this.#unsent.length === 0;
  }

  /** What has waited longest to be accepted. */
  get head(): RemoteCall | undefined {
    return this.#numbered.peekAt(0) ?? this.#unsent.peekAt(0);
  }

  /** Takes a call in; it leaves when window and owner allow. */
  push(call: RemoteCall): void {
    if (this.#unsent.length >= WAITING_SENDS_MAX) {
      const what = `messages for shard ${this.shard}`;
      return call.fail(new CatgaError("OVERLOADED", { what, limit: WAITING_SENDS_MAX }));
    }
    const peer = this.#peer;
    // The usual case: nothing waits, and the way is known and free.
    if (peer !== undefined && this.#unsent.length === 0 && this.#isFree(peer)) {
      return this.#number(call, peer, call.createdMs);
    }
    this.#unsent.push(call);
    if (peer === undefined) this.pump();
    else this.#sendTo(peer);
  }

  /** Takes calls in again that had come home, ahead of what was pushed since. */
  putBack(calls: readonly RemoteCall[]): void {
    for (const call of calls.toReversed()) this.#unsent.unshift(call);
    this.pump();
  }

  /** Looks where the shard is now, and sends what may be sent. */
  pump(): void {
    this.#peer = undefined;
    const route = this.#owner.route(this.group, this.shard);
    if (route === undefined) return;
    if ("away" in route) {
      const away = new CatgaError("NODE_AWAY", { node: route.away });
      return taken(this.#unsent).forEach((call) => call.fail(away));
    }
    const { to, record } = route;
    this.#learn(record);
    if (this.#isHeld) return;
    if (to === "here") return this.#deliverHere();
    this.#peer = to;
    if (this.#mustResend) this.#resend(to);
    this.#sendTo(to);
  }

  /** `peer` did not accept the message `item` names, nor what followed it up to the same frame. */
  redirected(item: RedirectNote, peer: Peer): void {
    if (item.channel !== this.number) return;
    for (const message of this.#numbered.toArray()) {
      if (message.sequence < item.sequence || message.frame > item.frame) continue;
      if (message.sentTo !== peer) continue;
      message.sentTo = undefined;
      message.frame = 0;
      this.#mustResend = true;
    }
    this.#hold(item.retryMs);
    this.pump();
  }

  settle(): void {
    while (this.#numbered.peekAt(0)?.isAccepted === true) this.#numbered.shift();
    if (this.#unsent.length > 0) this.pump();
  }

  #isFree(peer: Peer): boolean {
    return this.#numbered.length < CHANNEL_WINDOW && peer.hasRoom;
  }

  #sendTo(peer: Peer): void {
    while (this.#isFree(peer)) {
      const call = this.#unsent.shift();
      if (call === undefined) return;
      if (!call.isSettled) this.#number(call, peer, this.#owner.context.clock.nowMs());
    }
    if (!peer.hasRoom) peer.waitForRoom(this);
  }

  #number(call: RemoteCall, peer: Peer, nowMs: number): void {
    call.join(this, ++this.#sequence);
    this.#numbered.push(call);
    this.#send(call, peer, nowMs);
  }

  #learn(record: ShardRecord): void {
    if (this.#epoch === 0) this.#epoch = record.epoch;
    const recovery = recover(this.#epoch, record);
    if (recovery === "wait") return;
    this.#epoch = record.epoch;
    this.#isHeld = false;
    if (recovery === "renumber") return this.#renumber();
    for (const message of this.#numbered.toArray()) {
      // The counters that tell are with the new owner, and may be lost with it.
      message.isInDoubt ||= message.sentTo !== undefined;
      message.sentTo = undefined;
    }
    this.#mustResend = this.#numbered.length > 0;
  }

  /** What nobody can have accepted is sent under the new numbers; of the rest nobody knows. */
  #renumber(): void {
    this.number++;
    this.#sequence = 0;
    this.#mustResend = false;
    const waiting = taken(this.#unsent);
    for (const call of taken(this.#numbered)) {
      if (call.sentTo === undefined && !call.isInDoubt) this.#unsent.push(call);
      else call.fail(outcomeUnknown(call, "the owner's node died"));
    }
    for (const call of waiting) this.#unsent.push(call);
  }

  #resend(peer: Peer): void {
    this.#mustResend = false;
    for (const message of this.#numbered.toArray()) {
      if (message.sentTo !== undefined || message.isAccepted) continue;
      this.#send(message, peer, this.#owner.context.clock.nowMs());
    }
  }

  #send(call: RemoteCall, peer: Peer, nowMs: number): void {
    call.sentTo = peer;
    call.epoch = this.#epoch;
    call.executed = "maybe";
    if (!call.oneWay) call.leftMs = Math.max(0, Math.ceil(call.deadlineMs - nowMs));
    peer.addMessage(call);
  }

  /**
   * The counters came here with the shard: they tell what its last owner had accepted. What is
   * accepted now is counted like any other message, for its frame may still be on the way to an
   * owner of yesterday that is the owner of tomorrow.
   */
  #deliverHere(): void {
    const counter = this.#owner.counterHere(this.shard, this.number);
    const last = counter?.last ?? 0;
    if (counter !== undefined) counter.last = Math.max(last, this.#sequence);
    for (const call of taken(this.#numbered)) {
      if (call.sequence > last) this.#owner.deliverHere(call, this.shard);
    }
    for (const call of taken(this.#unsent)) {
      if (!call.isSettled) this.#owner.deliverHere(call, this.shard);
    }
  }

  #hold(delayMs: number): void {
    if (this.#isHeld) return;
    this.#isHeld = true;
    this.#owner.context.after(delayMs, () => {
      this.#isHeld = false;
      this.pump();
    });
  }
}

function taken(calls: Denque<RemoteCall>): RemoteCall[] {
  const all = calls.toArray();
  calls.clear();
  return all;
}
