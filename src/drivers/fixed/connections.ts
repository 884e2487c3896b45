/**
 * The connections of one node to the others of its list. They carry the frames of the link, and
 * news as JSON beside them. Everybody calls everybody who is not connected, again and again;
 * whoever is not of the list calls, and is not called.
 */
import { Buffer } from "node:buffer";
import { CatgaError, isCatgaError } from "../../base/errors.ts";
import type { Certificates } from "../../ports/certificates.ts";
import type { DriverContext } from "../../ports/driver.ts";
import type { LinkPeer } from "../../ports/link.ts";
import { isTlsError } from "../tcp/certificates.ts";
import { converse } from "../tcp/handshake.ts";
import { TcpLink } from "../tcp/link.ts";
import type { Json, Wire } from "../tcp/wire.ts";
import { checkGreeting, type Greeting, isGreeting } from "./greeting.ts";
import type { Member } from "./list.ts";

/** What surrounds the connections. */
export interface ConnectionOwner {
  /** What they show each other. */
  readonly tls: Certificates | undefined;
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

/** See the file's header. */
export class Connections extends TcpLink {
  readonly #context: DriverContext;
  readonly #list: readonly Member[];
  readonly #owner: ConnectionOwner;
  /** The nodes that are connected, by incarnation. */
  readonly #nodes = new Map<string, string>();

  constructor(context: DriverContext, list: readonly Member[], owner: ConnectionOwner) {
    const { cluster, incarnation, secret = "", nodeId, log } = context;
    const self = list.find(({ node }) => node === nodeId);
    super({ cluster, secret, incarnation, log, purpose: "node", tls: owner.tls }, self);
    this.#context = context;
    this.#list = list;
    this.#owner = owner;
  }

  /** The incarnations of the nodes that are connected, by node id. */
  get nodes(): Record<string, string> {
    return Object.fromEntries([...this.#nodes].map(([incarnation, node]) => [node, incarnation]));
  }

  /** Calls all who are not connected. */
  callAll(): void {
    const { nodes } = this;
    for (const { node, address } of this.#list) {
      if (node !== this.#context.nodeId && !(node in nodes))
        this.call({ incarnation: "", address });
    }
  }

  /** Resolves when all who were called have answered or failed to. */
  async answered(): Promise<void> {
    await Promise.all(this.dialing.values());
  }

  /** Tells `news` to one node, or to all that are connected. */
  tell(news: object, incarnation?: string): void {
    const bytes = Buffer.from(JSON.stringify(news));
    const told = incarnation === undefined ? [...this.wires.keys()] : [incarnation];
    for (const each of told) this.wires.get(each)?.[0]?.write(bytes, true);
  }

  /** Who was heard since this was asked last. */
  heard(): string[] {
    const heard = [...this.wires].filter(([, wires]) => wires.some((wire) => wire.wasHeard));
    for (const wire of heard.flatMap(([, wires]) => wires)) wire.wasHeard = false;
    return heard.map(([incarnation]) => incarnation);
  }

  /** Both sides say who they are; the incarnation is known of a caller. */
  protected override async meet(wire: Wire, { incarnation, address }: LinkPeer): Promise<void> {
    const greet = async (): Promise<void> => {
      const ours = { ...this.#owner.greeting(), incarnation: this.who.incarnation };
      wire.writeJson(ours);
      const theirs = await wire.read();
      const other = address === "" ? incarnation : String(theirs["incarnation"]);
      if (!isGreeting(theirs) || this.listener === undefined) throw new Error("no greeting came");
      checkGreeting(ours, theirs, this.isListed(theirs.node) && this.isListed(ours.node));
      this.#owner.admit(other, theirs);
      this.#nodes.set(other, theirs.node);
      this.keep(wire, other);
      this.#owner.met(other, theirs);
    };
    await converse(wire, greet);
  }

  protected override failed(error: Error, { incarnation, address }: LinkPeer): void {
    const member = this.#list.find((each) => each.address === address);
    if (member === undefined)
      this.#context.log.warn({ err: error, incarnation }, "a node was not let in");
    // Who does not listen is away; who says no is a mistake of somebody.
    else if (isCatgaError(error)) this.#owner.refused(member.node, error);
    else if (isTlsError(error)) this.#owner.refused(member.node, notTrusted(error));
  }

  protected override told(incarnation: string, news: Json): boolean {
    return this.#owner.told(incarnation, news);
  }

  protected override ended(incarnation: string): void {
    this.#nodes.delete(incarnation);
    if (this.listener !== undefined) this.callAll();
  }

  /** True for a node of the list. */
  isListed(node: string): boolean {
    return this.#list.some((member) => member.node === node);
  }
}

function notTrusted({ message }: Error): CatgaError {
  const details = { setting: "tls", ours: "on", theirs: `refused (${message})` };
  return new CatgaError("SETTINGS_DIFFER", details);
}
