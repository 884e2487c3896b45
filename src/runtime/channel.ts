/**
 * This node's channel to one shard: messages that its owner has not accepted yet, in their order,
 * whoever the owner is by now. The rules M1 to M3 stand in `ownership/channel.ts`.
 */
import { CatgaError } from "../base/errors.ts";
import { CHANNEL_WINDOW, WAITING_SENDS_MAX } from "../base/limits.ts";
import { Queue } from "../base/queue.ts";
import { recover } from "../ownership/channel.ts";
import type { Versioned } from "../ownership/view.ts";
import { encodeMessage, type MessageItem, type RedirectItem } from "../protocol/frame.ts";
import type { ShardRecord } from "../protocol/records.ts";
import type { NodeContext } from "./node-context.ts";
import type { Acknowledged, Peer } from "./peer.ts";
import { outcomeUnknown, type RemoteCall } from "./remote-call.ts";

/** What surrounds a channel. */
export interface ChannelOwner {
  readonly context: NodeContext;
  /** The shard as this node knows it, with its owner's stream if the owner lives elsewhere. */
  route(group: string, shard: number): Route;
  /** Runs a message here, whose shard has come to this node while the message waited. */
  deliverHere(call: RemoteCall): void;
  /** The highest number of this node's channel that the shard, which is here now, has accepted. */
  acceptedHere(shard: number, channel: number): number;
  /** Pumps the channel again when its owner's stream has room. */
  waitForRoom(channel: Channel, peer: Peer): void;
}

/** Where messages to a shard go. */
export type Route =
  | { readonly kind: "elsewhere"; readonly peer: Peer; readonly owned: Versioned<ShardRecord> }
  | { readonly kind: "here"; readonly owned: Versioned<ShardRecord> }
  | { readonly kind: "nowhere" };

/** A message with its number, until it is accepted. */
class Outbound implements Acknowledged {
  readonly call: RemoteCall;
  readonly sequence: number;
  readonly channel: Channel;
  frame = 0;
  /** Where it was sent last; nothing when it has to be sent again. */
  sentTo: Peer | undefined;
  isAccepted = false;

  constructor(call: RemoteCall, sequence: number, channel: Channel) {
    this.call = call;
    this.sequence = sequence;
    this.channel = channel;
  }

  accepted(peer: Peer): void {
    if (this.sentTo !== peer) return;
    this.isAccepted = true;
    this.call.accepted(peer.incarnation);
    this.channel.settle();
  }
}

/** See the file's header. */
export class Channel {
  readonly group: string;
  readonly shard: number;
  readonly #owner: ChannelOwner;
  #number = 0;
  #epoch = 0;
  #sequence = 0;
  /** Numbered and not accepted. */
  readonly #numbered = new Queue<Outbound>();
  /** Not numbered yet, so free to go anywhere. */
  readonly #unsent = new Queue<RemoteCall>();
  #mustResend = false;
  #isHeld = false;

  constructor(group: string, shard: number, owner: ChannelOwner) {
    this.group = group;
    this.shard = shard;
    this.#owner = owner;
  }

  /** True when nothing waits for acceptance: local calls may pass by. */
  get isIdle(): boolean {
    return this.#numbered.size === 0 && this.#unsent.size === 0;
  }

  /** Takes a call in; it leaves when window and owner allow. */
  push(call: RemoteCall): void {
    if (this.#unsent.size >= WAITING_SENDS_MAX) {
      const what = `messages for shard ${this.shard}`;
      return call.fail(new CatgaError("OVERLOADED", { what, limit: WAITING_SENDS_MAX }));
    }
    this.#unsent.push(call);
    this.pump();
  }

  /** Sends what may be sent: called when something changed that it may have waited for. */
  pump(): void {
    const route = this.#owner.route(this.group, this.shard);
    if (route.kind === "nowhere") return;
    this.#learn(route.owned.record);
    if (this.#isHeld) return;
    if (route.kind === "here") return this.#deliverHere();
    if (this.#mustResend) this.#resend(route.peer);
    while (this.#numbered.size < CHANNEL_WINDOW && route.peer.hasRoom) {
      const call = this.#unsent.shift();
      if (call === undefined) break;
      if (call.isSettled) continue;
      const message = new Outbound(call, ++this.#sequence, this);
      this.#numbered.push(message);
      this.#send(message, route.peer);
    }
    if (this.#unsent.size > 0 && !route.peer.hasRoom) this.#owner.waitForRoom(this, route.peer);
  }

  /** `peer` did not accept the message `item` names, nor what followed it up to the same frame. */
  redirected(item: RedirectItem, peer: Peer): void {
    if (item.channel !== this.#number) return;
    for (let i = 0; i < this.#numbered.size; i++) {
      const message = this.#numbered.at(i)!;
      if (message.sequence < item.sequence || message.frame > item.frame) continue;
      if (message.sentTo !== peer) continue;
      message.sentTo = undefined;
      message.frame = 0;
      this.#mustResend = true;
    }
    if (item.retryMs > 0) this.#hold(item.retryMs);
    this.pump();
  }

  /** The node `peer` is gone: what it had not accepted has to find another owner. */
  lost(peer: Peer): void {
    for (let i = 0; i < this.#numbered.size; i++) {
      const message = this.#numbered.at(i)!;
      if (message.sentTo !== peer) continue;
      message.sentTo = undefined;
      message.frame = 0;
      this.#mustResend = true;
    }
    this.pump();
  }

  /** Messages at the head were accepted. */
  settle(): void {
    while (this.#numbered.at(0)?.isAccepted === true) this.#numbered.shift();
    if (this.#unsent.size > 0) this.pump();
  }

  /** Fails everything that waits: the node stops. */
  fail(error: (call: RemoteCall) => CatgaError): void {
    for (const { call } of this.#numbered.drain()) call.fail(error(call));
    for (const call of this.#unsent.drain()) call.fail(error(call));
  }

  #learn(record: ShardRecord): void {
    if (this.#epoch === 0) this.#epoch = record.epoch;
    const recovery = recover(this.#epoch, record);
    if (recovery === "wait") return;
    this.#epoch = record.epoch;
    this.#isHeld = false;
    if (recovery === "renumber") return this.#renumber();
    for (let i = 0; i < this.#numbered.size; i++) this.#numbered.at(i)!.sentTo = undefined;
    this.#mustResend = this.#numbered.size > 0;
  }

  #renumber(): void {
    this.#number++;
    this.#sequence = 0;
    this.#mustResend = false;
    for (const { call } of this.#numbered.drain()) {
      call.fail(outcomeUnknown(call, "the owner's node died"));
    }
  }

  #resend(peer: Peer): void {
    this.#mustResend = false;
    for (let i = 0; i < this.#numbered.size; i++) {
      const message = this.#numbered.at(i)!;
      if (message.sentTo === undefined && !message.isAccepted) this.#send(message, peer);
    }
  }

  #send(message: Outbound, peer: Peer): void {
    const { call, sequence } = message;
    message.sentTo = peer;
    call.executed = "maybe";
    const timeoutMs = Math.max(0, Math.ceil(call.deadlineMs - this.#owner.context.clock.nowMs()));
    const { oneWay, body, number } = call;
    const { entity, id } = call.subject;
    const item: Omit<MessageItem, "kind"> = {
      shard: this.shard,
      epoch: this.#epoch,
      channel: this.#number,
      sequence,
      call: number,
      timeoutMs,
      oneWay,
      entity,
      id,
      body,
    };
    peer.add(encodeMessage(item), message);
  }

  /** The counters came here with the shard: they tell what its last owner had accepted. */
  #deliverHere(): void {
    const last = this.#owner.acceptedHere(this.shard, this.#number);
    for (const { call, sequence } of this.#numbered.drain()) {
      if (sequence > last) this.#owner.deliverHere(call);
    }
    for (const call of this.#unsent.drain()) {
      if (!call.isSettled) this.#owner.deliverHere(call);
    }
    // What was delivered here had no number, so the next one sent must follow the shard's counter.
    this.#sequence = last;
  }

  #hold(delayMs: number): void {
    if (this.#isHeld) return;
    this.#isHeld = true;
    this.#owner.context.clock.after(delayMs, () => {
      this.#isHeld = false;
      this.pump();
    });
  }
}
