/**
 * The link over pub/sub: every node listens on a channel of its own, named after its incarnation, and
 * publishes to those of others. Publishing and listening have a connection each, apart from the
 * authority's: a large frame delays no heartbeat.
 *
 * A published frame that nobody listens for is lost. When a node's connection was away, it greets
 * everybody it knows: both sides then send again what was lost meanwhile. A subscription can die in
 * silence, so a node speaks to itself from time to time, and opens the connection anew when it does
 * not hear itself.
 */
import type { Clock } from "../../base/clock.ts";
import { AUTHORITY_TIMEOUT_MS, FRAME_BYTES_MAX } from "../../base/limits.ts";
import type { Logger } from "../../base/logger.ts";
import type { Random } from "../../base/random.ts";
import type { Link, LinkListener, LinkPeer } from "../../ports/link.ts";
import type { Access } from "./access.ts";
import { Connection } from "./connection.ts";

/** What the link of one node is made of. */
export interface LinkParts {
  readonly access: Access;
  /** Stands before the incarnation in a channel's name. */
  readonly channels: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

type Role = "publish" | "listen";

/** The first byte of what is published; then the length of the sender's name, the name, the frame. */
const FRAME = 0;
const GREETING = 1;
const ECHO = 2;

/** How often a node speaks to itself. */
const ECHO_MS = 1_000;
/** Between two tries to connect; a random part comes on top. */
const REOPEN_MS = 20;
const NOTHING = new Uint8Array(0);
const CLOSED = "the node was closed";

/** See the file's header. */
export class PubSubLink implements Link {
  readonly #parts: LinkParts;
  readonly #connections = new Map<Role, Connection>();
  /** Whom frames came from or went to. */
  readonly #peers = new Set<string>();
  readonly #pending = new Set<Promise<unknown>>();
  #self = "";
  #head = Buffer.alloc(0);
  #listener: LinkListener | undefined;
  /** True from a word to itself until anything was heard. */
  #isDeaf = false;
  #cancelWatch: () => void = () => {};

  constructor(parts: LinkParts) {
    this.#parts = parts;
  }

  async open(incarnation: string, listener: LinkListener): Promise<string> {
    this.#self = incarnation;
    const name = Buffer.from(incarnation);
    this.#head = Buffer.from([FRAME, name.length, ...name]);
    this.#listener = listener;
    for (const role of ["listen", "publish"] as const) await this.#connect(role);
    this.#watch();
    return incarnation;
  }

  send(to: LinkPeer, frame: Uint8Array): void {
    if (frame.length > FRAME_BYTES_MAX || to.address === "") return;
    this.#peers.add(to.incarnation);
    this.#publish(FRAME, to.incarnation, frame);
  }

  forget(incarnation: string): void {
    this.#peers.delete(incarnation);
  }

  async close(): Promise<void> {
    this.#listener = undefined;
    this.#cancelWatch();
    this.#connections.get("listen")?.end(new Error(CLOSED));
    await Promise.all(this.#pending);
    this.#connections.get("publish")?.end(new Error(CLOSED));
  }

  async #connect(role: Role): Promise<void> {
    const { access, clock } = this.#parts;
    const connection = await Connection.open(access, clock, AUTHORITY_TIMEOUT_MS);
    try {
      if (role === "listen") await this.#subscribe(connection);
      if (this.#listener === undefined) throw new Error(CLOSED);
    } catch (error) {
      connection.end(error as Error);
      throw error;
    }
    this.#connections.set(role, connection);
    connection.onEnd((error) => this.#ended(role, error));
  }

  async #subscribe(connection: Connection): Promise<void> {
    const { client } = connection;
    client.on("messageBuffer", (_channel: Buffer, bytes: Buffer) => this.#received(bytes));
    await connection.within(client.subscribe(this.#parts.channels + this.#self));
  }

  #ended(role: Role, error: Error): void {
    this.#connections.delete(role);
    if (this.#listener === undefined) return;
    this.#parts.log.warn({ error, role }, "a connection of the link ended, it is opened anew");
    this.#reopen(role);
  }

  #reopen(role: Role): void {
    const { clock, random } = this.#parts;
    clock.after(REOPEN_MS * (1 + random.fraction()), () => {
      if (this.#listener === undefined) return;
      this.#connect(role).then(
        () => this.#greet(),
        () => this.#reopen(role),
      );
    });
  }

  /** Frames of both directions may be lost: both sides look after theirs. */
  #greet(): void {
    for (const peer of this.#peers) {
      this.#publish(GREETING, peer, NOTHING);
      this.#listener?.connected(peer);
    }
  }

  #publish(kind: number, to: string, frame: Uint8Array): void {
    const connection = this.#connections.get("publish");
    if (connection === undefined || this.#listener === undefined) return;
    const bytes = Buffer.concat([this.#head, frame]);
    bytes[0] = kind;
    const done: Promise<unknown> = connection
      .call("PUBLISH", [this.#parts.channels + to, bytes])
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
    this.#isDeaf = false;
    if (kind === GREETING) listener.connected(from);
    if (kind === FRAME) {
      this.#peers.add(from);
      listener.received(from, bytes.subarray(2 + length));
    }
  }

  /** Speaks to itself, and looks whether it was heard the last time. */
  #watch(): void {
    const { clock } = this.#parts;
    const look = (): void => {
      if (this.#listener === undefined) return;
      const listening = this.#connections.get("listen");
      if (this.#isDeaf) listening?.end(new Error("the subscription went silent"));
      this.#isDeaf = this.#connections.size === 2;
      this.#publish(ECHO, this.#self, NOTHING);
      this.#watch();
    };
    // Who was kept from its event loop hears first what came in.
    this.#cancelWatch = clock.after(ECHO_MS, () => clock.yield(look));
  }
}
