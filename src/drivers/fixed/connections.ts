/**
 * The connections of one node to the others of its list. They carry the frames of the link, and
 * news as JSON beside them. Everybody calls everybody who is not connected, again and again;
 * whoever is not of the list calls, and is not called.
 */
import { Buffer } from "node:buffer";
import { CatgaError, isCatgaError } from "../../base/errors.ts";
import { HANDSHAKE_TIMEOUT_MS } from "../../base/limits.ts";
import type { DriverContext } from "../../ports/driver.ts";
import type { Link, LinkListener, LinkPeer } from "../../ports/link.ts";
import { dial, type Door, type Identity, openDoor } from "../tcp/handshake.ts";
import { type Json, readJson, type Wire } from "../tcp/wire.ts";
import { checkGreeting, type Greeting, isGreeting } from "./greeting.ts";
import type { Member } from "./list.ts";

/** What surrounds the connections. */
export interface ConnectionOwner {
  greeting(): Greeting;
  /** Throws when the node must not be let in. */
  admit(incarnation: string, greeting: Greeting): void;
  /** A connection is there. */
  met(incarnation: string, greeting: Greeting): void;
  /** News; `false` says that it makes no sense. */
  told(incarnation: string, news: Json): boolean;
  /** The node and this one cannot belong together. */
  refused(node: string, error: CatgaError): void;
}

interface Connection {
  readonly wire: Wire;
  readonly node: string;
  /** True when something came since this was last asked. */
  wasHeard: boolean;
}

/** See the file's header. */
export class Connections implements Link {
  readonly #context: DriverContext;
  readonly #list: readonly Member[];
  readonly #who: Identity;
  readonly #owner: ConnectionOwner;
  #door: Door | undefined;
  #listener: LinkListener | undefined;
  /** By incarnation; frames leave by the first. */
  readonly #connections = new Map<string, Connection[]>();
  /** Calls under way, by address. */
  readonly #dialing = new Map<string, Promise<void>>();

  constructor(context: DriverContext, list: readonly Member[], owner: ConnectionOwner) {
    const { cluster, incarnation, secret = "" } = context;
    this.#context = context;
    this.#list = list;
    this.#who = { cluster, secret, incarnation, purpose: "node" };
    this.#owner = owner;
  }

  /** The incarnations of the nodes that are connected, by node id. */
  get nodes(): Record<string, string> {
    const all = [...this.#connections].map(([incarnation, [first]]) => [first?.node, incarnation]);
    return Object.fromEntries(all) as Record<string, string>;
  }

  async open(_incarnation: string, listener: LinkListener): Promise<string> {
    this.#listener = listener;
    const self = this.#list.find(({ node }) => node === this.#context.nodeId);
    if (self === undefined) return "";
    const { host, port, address } = self;
    try {
      this.#door = await openDoor({ host, port }, this.#who, (incarnation, wire) => {
        this.#greet(incarnation, wire).catch((error: unknown) => {
          this.#context.log.warn({ err: error, incarnation }, "a node was not let in");
        });
      });
    } catch (error) {
      const reason = `this node cannot listen there (${String(error)})`;
      throw new CatgaError("PORT_TAKEN", { address, reason });
    }
    return address;
  }

  /** Calls all who are not connected. */
  call(): void {
    const { nodes } = this;
    for (const member of this.#list) {
      if (member.node !== this.#context.nodeId && !(member.node in nodes)) this.#dial(member);
    }
  }

  /** Resolves when all who were called have answered or failed to. */
  async answered(): Promise<void> {
    await Promise.all(this.#dialing.values());
  }

  send(to: LinkPeer, frame: Uint8Array): void {
    const connection = this.#connections.get(to.incarnation)?.[0];
    if (connection !== undefined) return connection.wire.write(frame);
    const member = this.#list.find(({ address }) => address === to.address);
    if (member !== undefined) this.#dial(member);
  }

  /** Tells `news` to one node, or to all that are connected. */
  tell(news: object, incarnation?: string): void {
    const bytes = Buffer.from(JSON.stringify(news));
    const told = incarnation === undefined ? [...this.#connections.keys()] : [incarnation];
    for (const each of told) this.#connections.get(each)?.[0]?.wire.write(bytes, true);
  }

  /** Who was heard since this was asked last. */
  heard(): string[] {
    const heard = [...this.#connections].filter(([, all]) => all.some((each) => each.wasHeard));
    for (const [, all] of heard) for (const each of all) each.wasHeard = false;
    return heard.map(([incarnation]) => incarnation);
  }

  forget(incarnation: string): void {
    for (const { wire } of this.#connections.get(incarnation) ?? []) wire.destroy();
  }

  async close(): Promise<void> {
    this.#listener = undefined;
    this.#door?.close();
    for (const { wire } of [...this.#connections.values()].flat()) wire.hangUp();
  }

  #dial({ address, node }: Member): void {
    if (this.#dialing.has(address)) return;
    const dialing = dial(address, this.#who)
      .then((wire) => this.#greet("", wire))
      .catch((error: Error) => {
        // Who does not listen is away; who says no is a mistake of somebody.
        if (isCatgaError(error)) this.#owner.refused(node, error);
      })
      .finally(() => this.#dialing.delete(address));
    this.#dialing.set(address, dialing);
  }

  /** Both sides say who they are; `incarnation` is known of a caller. */
  async #greet(incarnation: string, wire: Wire): Promise<void> {
    const cancel = this.#context.clock.after(HANDSHAKE_TIMEOUT_MS, () => wire.destroy());
    try {
      const ours = { ...this.#owner.greeting(), incarnation: this.#who.incarnation };
      wire.writeJson(ours);
      const theirs = await wire.read();
      const other = incarnation || String(theirs["incarnation"]);
      if (!isGreeting(theirs) || this.#listener === undefined) throw new Error("no greeting came");
      checkGreeting(ours, theirs, this.#isListed(theirs.node) && this.#isListed(ours.node));
      this.#owner.admit(other, theirs);
      this.#keep(other, { wire, node: theirs.node, wasHeard: true });
      this.#owner.met(other, theirs);
    } catch (error) {
      wire.hangUp();
      throw error;
    } finally {
      cancel();
    }
  }

  #isListed(node: string): boolean {
    return this.#list.some((member) => member.node === node);
  }

  #keep(incarnation: string, connection: Connection): void {
    const { wire } = connection;
    const connections = this.#connections.get(incarnation) ?? [];
    this.#connections.set(incarnation, connections);
    connections.push(connection);
    wire.onClose(() => {
      connections.splice(connections.indexOf(connection), 1);
      if (connections.length > 0) return;
      this.#connections.delete(incarnation);
      if (this.#listener !== undefined) this.call();
    });
    wire.receive((frame, isNews) => {
      connection.wasHeard = true;
      if (!isNews) return this.#listener?.received(incarnation, frame) ?? true;
      const news = readJson(frame);
      return news !== undefined && this.#owner.told(incarnation, news);
    });
    if (connections.length === 1) this.#listener?.connected(incarnation);
  }
}
