/** A way to a server on loopback that can be frozen: connections stay, and nothing passes. */
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { freePort } from "./port.ts";

/** See the file's header. */
export class FrozenProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isFrozen = false;

  private constructor(port: number, target: number) {
    this.port = port;
    this.#server = createServer((near) => {
      const far = createConnection({ host: "127.0.0.1", port: target });
      this.#join(near, far);
      this.#join(far, near);
    }).listen(port, "127.0.0.1");
  }

  /** A proxy before port `target`. */
  static async open(target: number): Promise<FrozenProxy> {
    return new FrozenProxy(await freePort(), target);
  }

  /** From now on nothing passes, and nobody is told. */
  freeze(): void {
    this.#isFrozen = true;
  }

  /** Ends all connections; new ones pass. */
  thaw(): void {
    this.#isFrozen = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Ends everything. */
  close(): void {
    this.thaw();
    this.#server.close();
  }

  #join(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on("data", (bytes: Buffer) => {
      if (!this.#isFrozen) to.write(bytes);
    });
    from.on("error", () => {});
    from.on("close", () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }
}
