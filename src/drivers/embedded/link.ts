/**
 * The link over TCP on loopback: every node listens on a port of its own, which stands in its
 * session record, and is called by whoever has something for it. A connection serves both ways.
 */
import type { Link, LinkListener, LinkPeer } from "../../ports/link.ts";
import { dial, type Door, type Identity, openDoor } from "../tcp/handshake.ts";
import { HOST } from "./hub.ts";
import type { Wire } from "../tcp/wire.ts";

const ANY_PORT = { host: HOST, port: 0 };

/** See the file's header. */
export class TcpLink implements Link {
  readonly #who: Identity;
  #door: Door | undefined;
  /** All connections of a node; frames leave by the first. */
  readonly #wires = new Map<string, Wire[]>();
  readonly #dialing = new Set<string>();
  #listener: LinkListener | undefined;

  constructor(who: Omit<Identity, "purpose">) {
    this.#who = { ...who, purpose: "link" };
  }

  async open(_incarnation: string, listener: LinkListener): Promise<string> {
    this.#listener = listener;
    this.#door = await openDoor(ANY_PORT, this.#who, (...caller) => this.#keep(...caller));
    return this.#door.address;
  }

  send(to: LinkPeer, frame: Uint8Array): void {
    const wire = this.#wires.get(to.incarnation)?.[0];
    if (wire !== undefined) wire.write(frame);
    else this.#dial(to);
  }

  forget(incarnation: string): void {
    for (const wire of this.#wires.get(incarnation) ?? []) wire.destroy();
  }

  async close(): Promise<void> {
    this.#listener = undefined;
    this.#door?.close();
    for (const wire of [...this.#wires.values()].flat()) wire.hangUp();
  }

  /** What was to be sent is lost: the stream sends it again when `connected` tells it to. */
  #dial({ incarnation, address }: LinkPeer): void {
    if (address === "" || this.#dialing.has(incarnation)) return;
    this.#dialing.add(incarnation);
    dial(address, this.#who)
      .then((wire) => this.#keep(incarnation, wire))
      .catch(() => {}) // The stream asks again; that its node is dead is for the authority to say.
      .finally(() => this.#dialing.delete(incarnation));
  }

  #keep(incarnation: string, wire: Wire): void {
    const listener = this.#listener;
    if (listener === undefined) return wire.destroy();
    const wires = this.#wires.get(incarnation) ?? [];
    this.#wires.set(incarnation, wires);
    wires.push(wire);
    wire.onClose(() => {
      wires.splice(wires.indexOf(wire), 1);
      if (wires.length === 0) this.#wires.delete(incarnation);
    });
    wire.receive((frame) => this.#listener?.received(incarnation, frame) ?? true);
    if (wires.length === 1) listener.connected(incarnation);
  }
}
