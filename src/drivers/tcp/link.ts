/**
 * The link over TCP: nodes call each other directly, at the addresses of their session records. A
 * connection serves both ways; of several with one node frames leave by the first.
 */
import { CatgaError } from "../../base/errors.ts";
import type { Link, LinkListener, LinkPeer } from "../../ports/link.ts";
import { dial, type Door, type Identity, openDoor, type Place } from "./handshake.ts";
import { type Json, readJson, type Wire } from "./wire.ts";

/** See the file's header. */
export class TcpLink implements Link {
  protected readonly who: Identity;
  /** All connections of a node, by its incarnation. */
  protected readonly wires: Map<string, Wire[]> = new Map();
  /** Calls under way, by address. */
  protected readonly dialing: Map<string, Promise<void>> = new Map();
  /** Nothing before it is open, and after it is closed. */
  protected listener: LinkListener | undefined;
  readonly #place: Place | undefined;
  #door: Door | undefined;

  /** Without a place the node calls others, and nobody calls it. */
  constructor(who: Identity, place: Place | undefined) {
    this.who = who;
    this.#place = place;
  }

  async open(_incarnation: string, listener: LinkListener): Promise<string> {
    this.listener = listener;
    const place = this.#place;
    if (place === undefined) return "";
    try {
      this.#door = await openDoor(place, this.who, (incarnation, wire) => {
        const caller = { incarnation, address: "" };
        this.meet(wire, caller).catch((error: Error) => this.failed(error, caller));
      });
    } catch (error) {
      const reason = `this node cannot listen there (${String(error)})`;
      throw new CatgaError("PORT_TAKEN", { address: `${place.host}:${place.port}`, reason });
    }
    return this.#door.address;
  }

  send(to: LinkPeer, frame: Uint8Array): void {
    const wire = this.wires.get(to.incarnation)?.[0];
    if (wire !== undefined) wire.write(frame);
    else this.call(to);
  }

  forget(incarnation: string): void {
    for (const wire of this.wires.get(incarnation) ?? []) wire.destroy();
  }

  async close(): Promise<void> {
    this.listener = undefined;
    this.#door?.close();
    for (const wire of [...this.wires.values()].flat()) wire.hangUp();
  }

  /** What was to be sent is lost: the stream sends it again when `connected` tells it to. */
  protected call(peer: LinkPeer): void {
    const { address } = peer;
    if (address === "" || this.dialing.has(address)) return;
    const dialing = dial(address, this.who)
      .then((wire) => this.meet(wire, peer))
      .catch((error: Error) => this.failed(error, peer))
      .finally(() => this.dialing.delete(address));
    this.dialing.set(address, dialing);
  }

  /** Uses a connection to `peer`, which has no address when it called. */
  protected async meet(wire: Wire, { incarnation }: LinkPeer): Promise<void> {
    this.keep(wire, incarnation);
  }

  /** No connection came about. The stream asks again; who is dead is for the authority to say. */
  protected failed(_error: Error, _peer: LinkPeer): void {}

  /** News came; `false` says that they make no sense. */
  protected told(_incarnation: string, _news: Json): boolean {
    return false;
  }

  /** The last connection to a node has ended. */
  protected ended(_incarnation: string): void {}

  /** Makes a connection one of those to `incarnation`. */
  protected keep(wire: Wire, incarnation: string): void {
    if (this.listener === undefined) return wire.destroy();
    const wires = this.wires.get(incarnation) ?? [];
    this.wires.set(incarnation, wires);
    wires.push(wire);
    wire.onClose(() => {
      wires.splice(wires.indexOf(wire), 1);
      if (wires.length > 0) return;
      this.wires.delete(incarnation);
      this.ended(incarnation);
    });
    wire.receive((frame, isNews) => {
      if (!isNews) return this.listener?.received(incarnation, frame) ?? true;
      const news = readJson(frame);
      return news !== undefined && this.told(incarnation, news);
    });
    if (wires.length === 1) this.listener.connected(incarnation);
  }
}
