/**
 * The link over pub/sub: every node listens on a channel of its own, named after its incarnation,
 * and publishes to those of others. Its connection is apart from the authority's: a large frame
 * delays no heartbeat.
 *
 * A published frame that nobody listens for is lost. When a node's connection was away, it greets
 * everybody it knows: both sides then send again what was lost meanwhile.
 */
import { Buffer } from "node:buffer";
import { AUTHORITY_TIMEOUT_MS, FRAME_BYTES_MAX } from "../../base/limits.ts";
import type { Link, LinkListener, LinkPeer } from "../../ports/link.ts";
import { refusalOf } from "./access.ts";
import { Connection, type Dialer } from "./connection.ts";

/** What the link of one node is made of. */
export interface LinkParts extends Dialer {
  /** Stands before the incarnation in a channel's name. */
  readonly channels: string;
}

/** The first byte of what is published; then the length of the sender's name, it, the frame. */
const FRAME = 0;
const GREETING = 1;
/** More than a cluster has nodes; whoever may publish can make up any number of names. */
const PEERS_MAX = 4_096;
const NOTHING = new Uint8Array(0);
/** How often a node looks whether its subscription is still alive. */
const PING_MS = 1_000;
const CLOSED = "the node was closed";

/** See the file's header. */
export class PubSubLink implements Link {
  readonly #parts: LinkParts;
  /** Whom frames came from or went to. */
  readonly #peers = new Set<string>();
  readonly #pending = new Set<Promise<unknown>>();
  #self = "";
  #listener: LinkListener | undefined;
  #connection: Connection | undefined;

  constructor(parts: LinkParts) {
    this.#parts = parts;
  }

  async open(incarnation: string, listener: LinkListener): Promise<string> {
    this.#self = incarnation;
    this.#listener = listener;
    await this.#connect();
    return incarnation;
  }

  send(to: LinkPeer, frame: Uint8Array): void {
    if (frame.length > FRAME_BYTES_MAX) return;
    this.#peers.add(to.incarnation);
    this.#publish(FRAME, to.incarnation, frame);
  }

  forget(incarnation: string): void {
    this.#peers.delete(incarnation);
  }

  async close(): Promise<void> {
    this.#listener = undefined;
    await Promise.all(this.#pending);
    this.#connection?.end(new Error(CLOSED));
  }

  async #connect(): Promise<void> {
    const { access, channels } = this.#parts;
    const connection = await Connection.open(this.#parts, AUTHORITY_TIMEOUT_MS);
    const { listening } = connection;
    try {
      listening.on("messageBuffer", (_channel: Buffer, bytes: Buffer) => this.#received(bytes));
      await connection.within(listening.subscribe(channels + this.#self));
      if (this.#listener === undefined) throw new Error(CLOSED);
    } catch (error) {
      connection.end(error as Error);
      throw refusalOf(error, access.address);
    }
    this.#connection = connection;
    this.#ping(connection);
    const again = (): Promise<void> => this.#reconnect();
    connection.follow(this.#parts, () => this.#listener !== undefined, again);
  }

  /** Frames of both directions may be lost meanwhile: both sides look after theirs. */
  async #reconnect(): Promise<void> {
    await this.#connect();
    for (const peer of this.#peers) {
      this.#publish(GREETING, peer, NOTHING);
      this.#listener?.connected(peer);
    }
  }

  #publish(kind: number, to: string, frame: Uint8Array): void {
    const connection = this.#connection;
    if (connection === undefined || this.#listener === undefined) return;
    const from = Buffer.from(this.#self);
    const bytes = Buffer.concat([Uint8Array.of(kind, from.length), from, frame]);
    const done: Promise<unknown> = connection
      .call("PUBLISH", this.#parts.channels + to, bytes)
      // Lost with the connection; the streams above send it again.
      .catch(() => {})
      .finally(() => this.#pending.delete(done));
    this.#pending.add(done);
  }

  #received(bytes: Buffer): void {
    const listener = this.#listener;
    const [kind, length = 0] = bytes;
    if (listener === undefined || bytes.length < 2 + length) return;
    const from = bytes.toString("utf8", 2, 2 + length);
    if (kind === GREETING) listener.connected(from);
    if (kind === FRAME) {
      if (this.#peers.size < PEERS_MAX) this.#peers.add(from);
      listener.received(from, bytes.subarray(2 + length));
    }
  }

  /** A connection that died without a word is silent, like one on which nobody speaks. */
  #ping(connection: Connection): void {
    this.#parts.clock.after(PING_MS, () => {
      if (connection.isEnded) return;
      connection.within(connection.listening.ping()).then(
        () => this.#ping(connection),
        (error: Error) => connection.end(error),
      );
    });
  }
}
