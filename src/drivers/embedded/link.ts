/**
 * The link over TCP on loopback: every node listens on a port of its own, which stands in its
 * session record, and is called by whoever has something for it. A connection serves both ways.
 */
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Link, LinkListener, LinkPeer } from "../../ports/link.ts";
import { dial, greet, type Membership } from "./handshake.ts";
import { type Connection, hangUp, receiveFrames, writeFrame } from "./wire.ts";

const HOST = "127.0.0.1";

/** See the file's header. */
export class TcpLink implements Link {
  readonly #membership: Membership;
  readonly #incarnation: string;
  readonly #server: Server = createServer({ noDelay: true });
  /** All connections of a node; frames leave by the first. */
  readonly #sockets = new Map<string, Socket[]>();
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
    const socket = this.#sockets.get(to.incarnation)?.[0];
    if (socket !== undefined) writeFrame(socket, frame);
    else this.#dial(to);
  }

  forget(incarnation: string): void {
    for (const socket of this.#sockets.get(incarnation) ?? []) socket.destroy();
  }

  async close(): Promise<void> {
    this.#listener = undefined;
    for (const socket of this.#greeting) socket.destroy();
    for (const socket of [...this.#sockets.values()].flat()) hangUp(socket);
    if (this.#server.listening) this.#server.close();
  }

  #greet(socket: Socket): void {
    this.#greeting.add(socket);
    greet(socket, this.#membership).then(
      (connection) => {
        this.#greeting.delete(socket);
        const { caller } = connection;
        if (caller.purpose === "link") this.#keep(caller.incarnation, connection);
        else socket.destroy();
      },
      // A stranger: the handshake has told it why and closed the connection.
      () => this.#greeting.delete(socket),
    );
  }

  /** What was to be sent is lost: the stream sends it again when `connected` tells it to. */
  #dial({ incarnation, address }: LinkPeer): void {
    if (address === "" || this.#dialing.has(incarnation)) return;
    this.#dialing.add(incarnation);
    const caller = { purpose: "link", incarnation: this.#incarnation } as const;
    dial(address, this.#membership, caller).then(
      (connection) => {
        this.#dialing.delete(incarnation);
        this.#keep(incarnation, connection);
      },
      // The stream above asks again; that its node is dead is for the authority to say.
      () => this.#dialing.delete(incarnation),
    );
  }

  #keep(incarnation: string, connection: Connection): void {
    const listener = this.#listener;
    const { socket } = connection;
    if (listener === undefined) return void socket.destroy();
    const sockets = this.#sockets.get(incarnation) ?? [];
    this.#sockets.set(incarnation, sockets);
    sockets.push(socket);
    socket.once("close", () => {
      sockets.splice(sockets.indexOf(socket), 1);
      if (sockets.length === 0) this.#sockets.delete(incarnation);
    });
    receiveFrames(connection, (frame) => this.#listener?.received(incarnation, frame) ?? true);
    if (sockets.length === 1) listener.connected(incarnation);
  }
}
