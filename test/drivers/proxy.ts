/** A way to a server that a test can block: what is sent goes nowhere, and nobody hangs up. */
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { once } from "node:events";
import { freePort } from "./port.ts";

/** See the file's header. */
export class Proxy {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #fromServer = new Set<Socket>();
  #isBlocked = false;

  private constructor(port: number, target: number) {
    this.port = port;
    this.#server = createServer((near) => {
      const far = createConnection({ host: "127.0.0.1", port: target });
      this.#fromServer.add(far);
      far.on("close", () => this.#fromServer.delete(far));
      this.#join(near, far);
      this.#join(far, near);
    });
  }

  /** Listens, and passes everything on to port `target`. */
  static async to(target: number): Promise<Proxy> {
    const proxy = new Proxy(await freePort(), target);
    proxy.#server.listen(proxy.port, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  /** Nothing passes from now on, not even the end of a connection. */
  block(): void {
    this.#isBlocked = true;
  }

  /** Reads nothing more from the server until {@link resume}: what it sends piles up there. */
  stall(): void {
    for (const socket of this.#fromServer) socket.pause();
  }

  /** Reads on. */
  resume(): void {
    for (const socket of this.#fromServer) socket.resume();
  }

  /** New connections pass; those that were blocked end. */
  unblock(): void {
    this.#isBlocked = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.#server.close();
    this.unblock();
  }

  #join(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on("data", (bytes) => {
      if (!this.#isBlocked) to.write(bytes);
    });
    from.on("error", () => {});
    from.on("close", () => {
      this.#sockets.delete(from);
      if (!this.#isBlocked) to.destroy();
    });
  }
}
