/**
 * The stream to one other node, and back: frames numbered from 1, kept until they are acknowledged,
 * taken in their order only, and sent again when a connection is new or an answer is overdue
 * (go-back-N). So a link may lose, double and reorder frames, and messages, replies and handoffs
 * still arrive once and in order, as long as both processes live.
 *
 * A frame is acknowledged when all its items were dealt with. What the receiver did not accept it
 * says in a redirect, which travels ahead of the acknowledgement: so an acknowledged message that
 * was not redirected has been accepted.
 */
import {
  BATCH_BYTES_MAX,
  PEER_WINDOW_BYTES,
  RETRANSMIT_MS,
  RETRANSMIT_MS_MAX,
} from "../base/limits.ts";
import { Queue } from "../base/queue.ts";
import { WheelEntry } from "../base/timer-wheel.ts";
import type { LinkPeer } from "../ports/link.ts";
import { encodeFrame, type Frame } from "../protocol/frame.ts";
import type { NodeContext } from "./node-context.ts";

/** A message that wants to know when the other side has accepted it. */
export interface Acknowledged {
  /** The frame that carries it. */
  frame: number;
  accepted(peer: Peer): void;
}

/** Where an item comes from. */
export interface Origin {
  readonly peer: Peer;
  /** The number of the frame that carried it. */
  readonly frame: number;
}

interface SentFrame {
  readonly number: number;
  readonly lines: string;
  readonly messages: readonly Acknowledged[];
}

/** What surrounds a stream. */
export interface PeerOwner {
  readonly context: NodeContext;
  /** Calls `run` at the end of the current burst of work. */
  atEndOfBurst(run: () => void): void;
  sendFrame(to: LinkPeer, frame: Uint8Array): void;
  /** Deals with one item of a frame; `false` when it makes no sense. */
  receiveItem(from: Origin, head: string, body: string): boolean;
  /** There is room in the window again. */
  roomAgain(peer: Peer): void;
}

/** See the file's header. */
export class Peer extends WheelEntry implements LinkPeer {
  readonly incarnation: string;
  address: string;
  readonly #owner: PeerOwner;
  #lines = "";
  #messages: Acknowledged[] = [];
  readonly #unacknowledged = new Queue<SentFrame>();
  #unacknowledgedChars = 0;
  #nextFrame = 1;
  #processed = 0;
  #owesAcknowledgement = false;
  #isFlushing = false;
  #retransmitMs = RETRANSMIT_MS;
  #isClosed = false;

  constructor(incarnation: string, address: string, owner: PeerOwner) {
    super();
    this.incarnation = incarnation;
    this.address = address;
    this.#owner = owner;
  }

  /** False while the other side has not acknowledged as much as may be under way. */
  get hasRoom(): boolean {
    return this.#unacknowledgedChars + this.#lines.length < PEER_WINDOW_BYTES;
  }

  /** True when everything that was sent has been dealt with by the other side. */
  get isIdle(): boolean {
    return this.#lines === "" && this.#unacknowledged.size === 0;
  }

  /** The number of the frame that the next item will travel in. */
  get currentFrame(): number {
    return this.#nextFrame;
  }

  /** Adds an item (two lines) to the frame that leaves at the end of the burst. */
  add(lines: string, message?: Acknowledged): void {
    if (this.#isClosed) return;
    this.#lines = this.#lines === "" ? lines : `${this.#lines}\n${lines}`;
    if (message !== undefined) {
      message.frame = this.#nextFrame;
      this.#messages.push(message);
    }
    if (this.#lines.length >= BATCH_BYTES_MAX) this.#flush();
    else this.#flushSoon();
  }

  /** Takes in what came from the other side; `false` when it makes no sense. */
  receive(frame: Frame): boolean {
    if (this.#isClosed) return true;
    if (frame.number === this.#processed + 1) {
      const { lines } = frame;
      const from = { peer: this, frame: frame.number };
      for (let i = 1; i < lines.length; i += 2) {
        if (!this.#owner.receiveItem(from, lines[i]!, lines[i + 1]!)) return false;
      }
      this.#processed = frame.number;
    }
    // One that was sent again is acknowledged again; one behind a gap waits for its turn.
    if (frame.number > 0) {
      this.#owesAcknowledgement = true;
      this.#flushSoon();
    }
    this.#acknowledge(frame.acknowledged);
    return true;
  }

  /** Sends everything again that was not acknowledged: the connection is new. */
  resend(): void {
    for (let i = 0; i < this.#unacknowledged.size; i++) {
      const { number, lines } = this.#unacknowledged.at(i)!;
      this.#send(number, lines);
    }
  }

  /** An acknowledgement is overdue. */
  override expire(): void {
    if (this.#isClosed || this.#unacknowledged.size === 0) return;
    this.#retransmitMs = Math.min(this.#retransmitMs * 2, RETRANSMIT_MS_MAX);
    this.resend();
    this.#owner.context.wheel.add(this, this.#owner.context.wheel.nowMs + this.#retransmitMs);
  }

  /** The other side is gone for good; messages under way are the business of their channels. */
  close(): void {
    this.#isClosed = true;
    this.#owner.context.wheel.remove(this);
    this.#unacknowledged.drain();
  }

  #flushSoon(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    this.#owner.atEndOfBurst(() => {
      this.#isFlushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#isClosed) return;
    if (this.#lines === "") {
      if (this.#owesAcknowledgement) this.#send(0, "");
      return;
    }
    const sent = { number: this.#nextFrame++, lines: this.#lines, messages: this.#messages };
    this.#lines = "";
    this.#messages = [];
    this.#unacknowledgedChars += sent.lines.length;
    if (this.#unacknowledged.size === 0) {
      this.#owner.context.wheel.add(this, this.#owner.context.wheel.nowMs + this.#retransmitMs);
    }
    this.#unacknowledged.push(sent);
    this.#send(sent.number, sent.lines);
  }

  #send(number: number, lines: string): void {
    this.#owesAcknowledgement = false;
    const generation = this.#owner.context.generation;
    const head = { generation, number, acknowledged: this.#processed, to: this.incarnation };
    this.#owner.sendFrame(this, encodeFrame(head, lines));
  }

  #acknowledge(number: number): void {
    const { size } = this.#unacknowledged;
    for (let sent = this.#unacknowledged.at(0); sent !== undefined;) {
      if (sent.number > number) break;
      this.#unacknowledged.shift();
      this.#unacknowledgedChars -= sent.lines.length;
      // A message that was redirected and sent again belongs to a later frame.
      for (const each of sent.messages) if (each.frame === sent.number) each.accepted(this);
      sent = this.#unacknowledged.at(0);
    }
    if (this.#unacknowledged.size === size) return;
    const { wheel } = this.#owner.context;
    this.#retransmitMs = RETRANSMIT_MS;
    wheel.remove(this);
    if (this.#unacknowledged.size > 0) wheel.add(this, wheel.nowMs + this.#retransmitMs);
    this.#owner.roomAgain(this);
  }
}
