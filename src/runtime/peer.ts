/**
 * The stream to one other node, and back: frames numbered from 1, kept until they are acknowledged,
 * dealt with in their order, and sent again when a connection is new or an answer is overdue. So a
 * link may lose, double and reorder frames, and messages, replies and handoffs still arrive once
 * and in order, as long as both processes live.
 *
 * A frame is acknowledged when all its items were dealt with. What the receiver did not accept it
 * says in a redirect, which travels ahead of the acknowledgement: so an acknowledged message that
 * was not redirected has been accepted.
 */
import Denque from "denque";
import { CatgaError } from "../base/errors.ts";
import {
  EARLY_FRAMES_MAX,
  PEER_WINDOW_BYTES,
  RETRANSMIT_MS,
  RETRANSMIT_MS_MAX,
  WAITING_SENDS_MAX,
} from "../base/limits.ts";
import { WheelEntry } from "../base/timer-wheel.ts";
import { Batch, encodeFrame, type Frame } from "../protocol/frame.ts";
import { LinkCounts } from "./counts.ts";
import type { NodeContext } from "./node-context.ts";
import type { RemoteCall } from "./remote-call.ts";

/** What surrounds a stream. */
export interface PeerOwner {
  readonly context: NodeContext;
  /** Flushes `peer` at the end of the current burst of work. */
  flushSoon(peer: Peer): void;
  sendFrame(to: string, frame: Uint8Array): void;
  /** Deals with the items of a frame; `false` when one makes no sense. */
  receiveItems(peer: Peer, frame: Frame): boolean;
}

interface SentFrame {
  readonly number: number;
  /** What was processed when it was made, and still is said when it is sent again. */
  readonly acknowledged: number;
  readonly items: string;
  readonly messages: readonly RemoteCall[];
}

/** See the file's header. */
export class Peer extends WheelEntry {
  readonly incarnation: string;
  readonly #owner: PeerOwner;
  #batch = new Batch();
  #messages: RemoteCall[] = [];
  readonly #unacknowledged = new Denque<SentFrame>();
  #unacknowledgedChars = 0;
  #nextFrame = 1;
  #processed = 0;
  /** Frames that came before one that is missing. */
  readonly #early = new Map<number, Frame>();
  #owesAcknowledgement = false;
  /** Channels that wait for room. */
  readonly #starved = new Set<{ pump(): void }>();
  #retransmitMs = RETRANSMIT_MS;
  /** Messages for handlers that wait for room. */
  readonly #asks = new Denque<RemoteCall>();
  /** Handlers of this node that the other side waits for, by the number of its call. */
  readonly awaited: Map<number, { abort(): void }> = new Map();
  readonly counts: LinkCounts = new LinkCounts();
  #isClosed = false;

  constructor(incarnation: string, owner: PeerOwner) {
    super();
    this.incarnation = incarnation;
    this.#owner = owner;
    owner.context.links.set(incarnation, this.counts);
  }

  /** False while the other side has not acknowledged as much as may be under way. */
  get hasRoom(): boolean {
    return this.#unacknowledgedChars < PEER_WINDOW_BYTES;
  }

  /** False when what need not leave must wait, or is left out: too much waits to leave already. */
  get takesNews(): boolean {
    return this.hasRoom && (!this.#batch.isFull || this.#owner.context.leaseHolds);
  }

  /** Pumps `channel` when there is room again. */
  waitForRoom(channel: { pump(): void }): void {
    this.#starved.add(channel);
  }

  /** True when everything that was sent has been dealt with by the other side. */
  get isIdle(): boolean {
    return this.#batch.isEmpty && this.#unacknowledged.length === 0;
  }

  /** Sends a message at the end of the burst, at once when the batch has grown large. */
  addMessage(call: RemoteCall): void {
    const batch = this.outbox(call.charsMax);
    call.frame = this.#nextFrame;
    this.#messages.push(call);
    batch.addMessage(call);
  }

  /** Sends a message for a handler of that node, when there is room. */
  ask(call: RemoteCall): void {
    if (this.hasRoom && this.#asks.length === 0) return this.#addAsk(call);
    if (this.#asks.length < WAITING_SENDS_MAX) {
      call.sentTo = this;
      return void this.#asks.push(call);
    }
    const what = `messages for node "${this.incarnation}"`;
    call.fail(new CatgaError("OVERLOADED", { what, limit: WAITING_SENDS_MAX }));
  }

  /** Nobody waits for the answer of a handler of that node any more. */
  cancel({ call, frame }: RemoteCall): void {
    // In one frame notes are read before asks: it would come before what it cancels.
    if (frame === this.#nextFrame) this.flush();
    this.outbox().notes.push({ kind: "cancelled", call });
  }

  /** What leaves at the end of the burst; items may be added at once, not later. */
  outbox(charsMax = 0): Batch {
    if (this.#batch.isFull) this.flush();
    this.#batch.charsMax += charsMax;
    this.counts.itemsOut++;
    this.#owner.flushSoon(this);
    return this.#batch;
  }

  /** Takes in what came from the other side; `false` when it makes no sense. */
  receive(frame: Frame): boolean {
    if (this.#isClosed) return true;
    const { number, items, acknowledged } = frame;
    // An acknowledgement must not overtake the redirects in the frames before it.
    if (items.length === 0) {
      if (number <= this.#processed) this.#acknowledge(acknowledged);
      return true;
    }
    // One that was sent again is acknowledged again.
    this.#owesAcknowledgement = true;
    this.#owner.flushSoon(this);
    if (number > this.#processed && number <= this.#processed + EARLY_FRAMES_MAX) {
      this.#early.set(number, frame);
    }
    for (let next; (next = this.#early.get(this.#processed + 1)) !== undefined;) {
      this.#early.delete(next.number);
      if (!this.#owner.receiveItems(this, next)) return false;
      this.#processed = next.number;
      this.#acknowledge(next.acknowledged);
    }
    return true;
  }

  /** Sends everything again that was not acknowledged: the connection is new. */
  resend(): void {
    this.counts.resent += this.#unacknowledged.length;
    for (const sent of this.#unacknowledged.toArray()) this.#send(sent);
  }

  /** An acknowledgement is overdue. */
  override expire(): void {
    if (this.#isClosed || this.#unacknowledged.length === 0) return;
    this.counts.isUp = false;
    this.#retransmitMs = Math.min(this.#retransmitMs * 2, RETRANSMIT_MS_MAX);
    this.resend();
    this.#watch();
  }

  /** The other side is gone for good; messages under way are the business of their channels. */
  close(): void {
    this.#isClosed = true;
    for (const handler of this.awaited.values()) handler.abort();
    this.#owner.context.wheel.remove(this);
    this.#unacknowledged.clear();
  }

  /** The burst has ended: what waits leaves. */
  flush(): void {
    if (this.#isClosed) return;
    const { leaseHolds, slices } = this.#owner.context;
    if (this.#batch.isEmpty) {
      const number = this.#nextFrame - 1;
      const acknowledged = this.#processed;
      if (this.#owesAcknowledgement) this.#send({ number, acknowledged, items: "" });
      return;
    }
    // What turns sent and answered leaves under a valid lease.
    if (!leaseHolds) return slices.later({ resume: () => this.flush() });
    const items = this.#batch.encode();
    const number = this.#nextFrame++;
    const sent = { number, acknowledged: this.#processed, items, messages: this.#messages };
    this.#batch = new Batch();
    this.#messages = [];
    this.#unacknowledgedChars += items.length;
    if (this.#unacknowledged.length === 0) this.#watch();
    this.#unacknowledged.push(sent);
    this.#send(sent);
  }

  #addAsk(call: RemoteCall): void {
    if (call.isSettled) return;
    const batch = this.outbox(call.charsMax);
    call.hasLeft(this, this.#nextFrame);
    this.#messages.push(call);
    batch.addAsk(call);
  }

  #send({ number, acknowledged, items }: Omit<SentFrame, "messages">): void {
    this.#owesAcknowledgement = false;
    const { generation } = this.#owner.context;
    const head = { generation, number, acknowledged, to: this.incarnation };
    const frame = encodeFrame(head, items);
    this.counts.framesOut++;
    this.counts.bytesOut += frame.length;
    this.#owner.sendFrame(this.incarnation, frame);
  }

  #watch(): void {
    const { wheel } = this.#owner.context;
    wheel.add(this, wheel.nowMs + this.#retransmitMs);
  }

  #acknowledge(number: number): void {
    const waiting = this.#unacknowledged;
    const { length } = waiting;
    for (let sent; (sent = waiting.peekAt(0)) !== undefined && sent.number <= number;) {
      waiting.shift();
      this.#unacknowledgedChars -= sent.items.length;
      // A message that was redirected and sent again belongs to a later frame.
      for (const each of sent.messages) if (each.frame === sent.number) each.accepted(this);
    }
    if (waiting.length === length) return;
    this.counts.isUp = true;
    this.#retransmitMs = RETRANSMIT_MS;
    this.#owner.context.wheel.remove(this);
    if (waiting.length > 0) this.#watch();
    while (this.hasRoom && this.#asks.length > 0) this.#addAsk(this.#asks.shift()!);
    const starved = [...this.#starved];
    this.#starved.clear();
    for (const channel of starved) channel.pump();
  }
}
