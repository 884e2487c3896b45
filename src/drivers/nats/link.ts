/**
 * The link over core NATS: every incarnation has a subject of its own, so a process that starts
 * again never receives its predecessor's mail. The sender's subject travels as the reply subject of
 * each message, which costs no copy of the frame; a frame beyond the broker's limit travels in
 * parts, whose number and count follow there: `<subject>.<frame>.<part>.<parts>`.
 *
 * Nothing waits here. What is sent while the broker is away is lost, and the streams above send it
 * again: at once when `connected` tells them that the way is open.
 */
import type { Msg, NatsConnection, Subscription } from "@nats-io/transport-node";
import { FRAME_BYTES_MAX } from "../../base/limits.ts";
import type { Link, LinkListener, LinkPeer } from "../../ports/link.ts";
import type { ConnectionListener, Hold } from "./connection.ts";
import { textOf, token } from "./subject.ts";

/** A frame of which not all parts have come. */
interface Assembly {
  readonly frame: string;
  readonly parts: Uint8Array[];
  bytes: number;
}

/** Says: this node's connection is there anew. */
const HELLO = "hello";

/** See the file's header. */
export class NatsLink implements Link, ConnectionListener {
  readonly #hold: Hold;
  readonly #client: NatsConnection;
  readonly #nodes: string;
  #self = "";
  #listener: LinkListener | undefined;
  #subscription: Subscription | undefined;
  #frames = 0;
  /** The subjects of those this node has talked with, by incarnation. */
  readonly #subjects = new Map<string, string>();
  /** Who sends under which subject: the reverse. */
  readonly #senders = new Map<string, string>();
  /** By sender; each of them sends one frame after the other. */
  readonly #assemblies = new Map<string, Assembly>();

  /** `nodes` is how the subjects of all nodes begin. */
  constructor(hold: Hold, nodes: string) {
    this.#hold = hold;
    this.#client = hold.client;
    this.#nodes = nodes;
    hold.listen(this);
  }

  async open(incarnation: string, listener: LinkListener): Promise<string> {
    this.#listener = listener;
    this.#self = this.#nodes + token(incarnation);
    const callback = (error: Error | null, message: Msg): void => {
      if (error === null) this.#receive(message);
    };
    this.#subscription = this.#client.subscribe(this.#self, { callback });
    // Others may be told of this node from now on: the broker must know of it first.
    await this.#client.flush();
    return this.#self;
  }

  send({ incarnation }: LinkPeer, frame: Uint8Array): void {
    const bytesMax = this.#client.info?.max_payload;
    const isUp = this.#listener !== undefined && this.#hold.isUp() && !this.#client.isClosed();
    if (!isUp || bytesMax === undefined || frame.length > FRAME_BYTES_MAX) return;
    const subject = this.#subjectOf(incarnation);
    if (frame.length <= bytesMax)
      return this.#client.publish(subject, frame, { reply: this.#self });
    const parts = Math.ceil(frame.length / bytesMax);
    const name = `${this.#self}.${++this.#frames}`;
    for (let part = 0; part < parts; part++) {
      const bytes = frame.subarray(part * bytesMax, (part + 1) * bytesMax);
      this.#client.publish(subject, bytes, { reply: `${name}.${part}.${parts}` });
    }
  }

  forget(incarnation: string): void {
    const subject = this.#subjectOf(incarnation);
    this.#subjects.delete(incarnation);
    this.#senders.delete(subject);
    this.#assemblies.delete(subject);
  }

  async close(): Promise<void> {
    this.#listener = undefined;
    if (!this.#client.isClosed()) this.#subscription?.unsubscribe();
    await this.#hold.release();
  }

  up(): void {
    this.#assemblies.clear();
    for (const [incarnation, subject] of this.#subjects) {
      this.#client.publish(subject, undefined, { reply: `${this.#self}.${HELLO}` });
      this.#listener?.connected(incarnation);
    }
  }

  down(): void {}

  closed(): void {}

  #subjectOf(incarnation: string): string {
    let subject = this.#subjects.get(incarnation);
    if (subject === undefined) {
      subject = this.#nodes + token(incarnation);
      this.#subjects.set(incarnation, subject);
    }
    return subject;
  }

  #receive(message: Msg): void {
    const { reply = "", data } = message;
    // With headers comes the broker's word that nobody listens there: no frame, and no proof.
    if (message.headers !== undefined || !reply.startsWith(this.#nodes)) return;
    const from = this.#senders.get(reply);
    if (from !== undefined) return void this.#listener?.received(from, data);
    const [sender = "", frame, part, parts] = reply.slice(this.#nodes.length).split(".");
    const incarnation = textOf(sender);
    if (frame === undefined) {
      this.#senders.set(reply, incarnation);
      this.#listener?.received(incarnation, data);
    } else if (frame === HELLO) this.#listener?.connected(incarnation);
    else this.#join(incarnation, { frame, part: Number(part), parts: Number(parts), data });
  }

  #join(
    from: string,
    { frame, part, parts, data }: { frame: string; part: number; parts: number; data: Uint8Array },
  ): void {
    const subject = this.#subjectOf(from);
    let assembly = this.#assemblies.get(subject);
    if (part === 0) {
      assembly = { frame, parts: [], bytes: 0 };
      this.#assemblies.set(subject, assembly);
    }
    const fits = assembly?.frame === frame && assembly.parts.length === part;
    if (assembly === undefined || !fits || assembly.bytes + data.length > FRAME_BYTES_MAX) {
      this.#assemblies.delete(subject);
      return;
    }
    assembly.parts.push(data);
    assembly.bytes += data.length;
    if (assembly.parts.length < parts) return;
    this.#assemblies.delete(subject);
    const whole = new Uint8Array(assembly.bytes);
    let at = 0;
    for (const bytes of assembly.parts) {
      whole.set(bytes, at);
      at += bytes.length;
    }
    this.#listener?.received(from, whole);
  }
}
