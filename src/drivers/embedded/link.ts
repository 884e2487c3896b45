/**
 * The link over TCP on loopback: every node listens on a port of its own, which stands in its
 * session record, and is called by whoever has something for it. A connection serves both ways.
 */
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Link, LinkListener, LinkPeer } from "../../ports/link.ts";
import { dial, greet, type Membership } from "./handshake.ts";
import type { Wire } from "./wire.ts";

const HOST = "127.0.0.1";

/** See the file's header. */
export class TcpLink implements Link {
  readonly #membership: Membership;
  readonly #incarnation: string;
  readonly #server: Server = createServer({ noDelay: true });
  /** All connections of a node; frames leave by the first. */
  readonly #wires = new Map<string, Wire[]>();
  readonly #greeting = new Set<Socket>();
  readonly #dialing = new Set<string>();
  #listener: LinkListener | undefined;

  constructor(membership: Membership, incarnation: string) {
    this.#membership = membership;
    this.#incarnation = incarnation;
  }

  open(_incarnation: string, listener: LinkListener): Promise<string> {
    this.#listener = listener;
    this.#server.on("connection", (socket) => this.#greet(socket));
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host: HOST, port: 0 }, () => {
        resolve(`${HOST}:${(this.#server.address() as AddressInfo).port}`);
      });
    });
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
    for (const socket of this.#greeting) socket.destroy();
    for (const wire of [...this.#wires.values()].flat()) wire.hangUp();
    if (this.#server.listening) this.#server.close();
  }

  #greet(socket: Socket): void {
    this.#greeting.add(socket);
    greet(socket, this.#membership)
      .then(({ wire, caller }) => {
        if (caller.purpose === "link") this.#keep(caller.incarnation, wire);
        else wire.destroy();
      })
      .catch(() => {}) // A stranger: the handshake has told it why and closed the connection.
      .finally(() => this.#greeting.delete(socket));
  }

  /** What was to be sent is lost: the stream sends it again when `connected` tells it to. */
  #dial({ incarnation, address }: LinkPeer): void {
    if (address === "" || this.#dialing.has(incarnation)) return;
    this.#dialing.add(incarnation);
    dial(address, this.#membership, { purpose: "link", incarnation: this.#incarnation })
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
