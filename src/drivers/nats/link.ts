/**
 * The link over core NATS: every incarnation has a subject of its own, so a process that starts
 * again never receives its predecessor's mail. The sender's subject travels as the reply subject of
 * each message, which costs no copy of the frame; a frame beyond the broker's limit travels in
 * parts, whose number and count follow there: `<subject>.<frame>.<part>.<parts>`.
 *
 * Nothing waits here. What is sent while the broker is away is lost, and the streams above send it
 * again: at once when `connected` tells them that the way is open.
 */
import { Buffer } from "node:buffer";
import type { Msg } from "@nats-io/transport-node";
import { FRAME_BYTES_MAX } from "../../base/limits.ts";
import type { Link, LinkListener, LinkPeer } from "../../ports/link.ts";
import {
  type Connection,
  type ConnectionListener,
  subscribe,
  watch,
  within,
} from "./connection.ts";
import { textOf, token } from "./subject.ts";

/** A frame of which not all parts have come. */
interface Assembly {
  readonly frame: string;
  readonly parts: Uint8Array[];
  bytes: number;
}

/** Its number in its frame, how many there are, and its bytes. */
type Part = readonly [part: number, parts: number, data: Uint8Array];

/** A broker that hangs is not waited for. */
const FLUSH_MS_MAX = 500;
/** Parts of frames that wait for others: who begins frames and never ends them has no more room. */
const ASSEMBLED_BYTES_MAX = 8 * FRAME_BYTES_MAX;
/** What one of them takes besides its bytes. */
const ASSEMBLY_BYTES = 1_024;
/** Says: this node's connection is there anew. */
const HELLO = "hello";

/** See the file's header. */
export class NatsLink implements Link, ConnectionListener {
  readonly #connection: Connection;
  readonly #nodes: string;
  #self = "";
  #listener: LinkListener | undefined;
  #unsubscribe: () => void = () => {};
  #frames = 0;
  /** The subjects of those this node has sent to, by incarnation. */
  readonly #subjects = new Map<string, string>();
  /** The frames under way, by sender; each of them sends one after the other. */
  readonly #assemblies = new Map<string, Assembly>();

  /** `nodes` is how the subjects of all nodes begin. */
  constructor(connection: Connection, nodes: string) {
    this.#connection = connection;
    this.#nodes = nodes;
    watch(connection, this);
  }

  async open(incarnation: string, listener: LinkListener): Promise<string> {
    this.#listener = listener;
    this.#self = this.#nodes + token(incarnation);
    this.#unsubscribe = subscribe(this.#connection, this.#self, (each) => this.#receive(each));
    // Others may be told of this node from now on: the broker must know of it first.
    await this.#connection.client.flush();
    return this.#self;
  }

  send({ incarnation }: LinkPeer, frame: Uint8Array): void {
    const { client } = this.#connection;
    // There is none while the broker is away.
    const bytesMax = client.info?.max_payload;
    const isOpen = this.#listener !== undefined && bytesMax !== undefined;
    if (!isOpen || client.isClosed() || frame.length > FRAME_BYTES_MAX) return;
    const subject = this.#subjects.get(incarnation) ?? this.#nodes + token(incarnation);
    this.#subjects.set(incarnation, subject);
    if (frame.length <= bytesMax) return client.publish(subject, frame, { reply: this.#self });
    const parts = Math.ceil(frame.length / bytesMax);
    const name = `${this.#self}.${++this.#frames}`;
    for (let part = 0; part < parts; part++) {
      const bytes = frame.subarray(part * bytesMax, (part + 1) * bytesMax);
      client.publish(subject, bytes, { reply: `${name}.${part}.${parts}` });
    }
  }

  forget(incarnation: string): void {
    this.#subjects.delete(incarnation);
    this.#assemblies.delete(incarnation);
  }

  async close(): Promise<void> {
    this.#listener = undefined;
    const { client, isOwn } = this.#connection;
    this.#unsubscribe();
    if (client.isClosed()) return;
    // What cannot be sent in time is lost, as frames may be.
    const sent = client.info === undefined ? Promise.resolve() : client.flush();
    await within(this.#connection, FLUSH_MS_MAX, sent).catch(() => {});
    // The authority has no use for it any more, whichever of them is closed first.
    if (isOwn) await client.close();
  }

  up(): void {
    this.#assemblies.clear();
    for (const [incarnation, subject] of this.#subjects) {
      const hello = { reply: `${this.#self}.${HELLO}` };
      this.#connection.client.publish(subject, undefined, hello);
      this.#listener?.connected(incarnation);
    }
  }

  #receive({ reply = "", data, headers }: Msg): void {
    // With headers comes the broker's word that nobody listens there: no frame, and no proof.
    if (headers !== undefined || !reply.startsWith(this.#nodes)) return;
    const [sender = "", frame, part, parts] = reply.slice(this.#nodes.length).split(".");
    const from = textOf(sender);
    if (frame === undefined) this.#listener?.received(from, data);
    else if (frame === HELLO) this.#listener?.connected(from);
    else {
      const whole = this.#join(from, frame, [Number(part), Number(parts), data]);
      if (whole !== undefined) this.#listener?.received(from, whole);
    }
  }

  #join(from: string, frame: string, [part, parts, data]: Part): Uint8Array | undefined {
    const begun = part === 0 ? { frame, parts: [], bytes: 0 } : this.#assemblies.get(from);
    this.#assemblies.delete(from);
    // A part is missing: the frame is lost, and so is what is left of it.
    if (begun?.frame !== frame || begun.parts.length !== part) return undefined;
    begun.parts.push(data);
    begun.bytes += data.length;
    if (begun.bytes > FRAME_BYTES_MAX) return undefined;
    if (begun.parts.length === parts) return Buffer.concat(begun.parts);
    this.#assemblies.set(from, begun);
    this.#makeRoom();
    return undefined;
  }

  /** What has waited longest is lost. */
  #makeRoom(): void {
    const sizes = Array.from(this.#assemblies.values(), ({ bytes }) => bytes + ASSEMBLY_BYTES);
    let held = sizes.reduce((sum, bytes) => sum + bytes);
    for (const [from, { bytes }] of this.#assemblies) {
      if (held <= ASSEMBLED_BYTES_MAX) return;
      this.#assemblies.delete(from);
      held -= bytes + ASSEMBLY_BYTES;
    }
  }
}
