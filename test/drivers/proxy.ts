/**
 * A way to a server that a test can spoil: it ends connections, refuses them, lets bytes come late,
 * or swallows them while nobody hangs up. It counts what it did, so that a test can tell whether
 * there was anything to spoil.
 */
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { once } from "node:events";
import { freePort } from "./port.ts";

/** What a proxy has done so far. */
export interface Spoilt {
  /** Connections that it ended, politely or by a reset. */
  readonly ended: number;
  /** Connections that it did not take. */
  readonly refused: number;
  /** Bytes that went nowhere. */
  readonly swallowed: number;
  /** Bytes that came later than they could have. */
  readonly late: number;
}

/** One direction, or the other, or both. */
export type Way = "both" | "toServer" | "toClient";

/** How a connection ends: as a program closes it, or as a machine does that has forgotten it. */
export type Ending = "destroy" | "resetAndDestroy";

/** See the file's header. */
export class Proxy {
  readonly port: number;
  readonly #server: Server;
  readonly #pipes = new Set<Pipe>();
  readonly #spoilt = { ended: 0, refused: 0, swallowed: 0, late: 0 };
  #isBlocked = false;
  #isRefusing = false;
  #delayMs = 0;

  private constructor(port: number, target: number) {
    this.port = port;
    this.#server = createServer({ noDelay: true }, (near) => {
      near.on("error", () => {});
      if (this.#isRefusing) {
        this.#spoilt.refused++;
        near.destroy();
        return;
      }
      const far = createConnection({ host: "127.0.0.1", port: target, noDelay: true });
      this.#add("toServer", near, far);
      this.#add("toClient", far, near);
    });
  }

  /** Listens, and passes everything on to port `target`. */
  static async to(target: number): Promise<Proxy> {
    const proxy = new Proxy(await freePort(), target);
    proxy.#server.listen(proxy.port, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  /** What it has done so far. */
  get spoilt(): Spoilt {
    return { ...this.#spoilt };
  }

  /** Nothing passes from now on, not even the end of a connection. */
  block(): void {
    this.#isBlocked = true;
    this.deafen("both");
  }

  /** New connections pass; those that were there end. */
  unblock(): void {
    this.#isBlocked = false;
    this.end();
  }

  /** Swallows what is sent on those connections that are open now; new ones pass. */
  deafen(way: Way): void {
    for (const pipe of this.#pipes) pipe.deafen(way);
  }

  /** Reads nothing more from the server until {@link resume}: what it sends piles up there. */
  stall(): void {
    for (const pipe of this.#pipes) pipe.stall();
  }

  /** Reads on. */
  resume(): void {
    for (const pipe of this.#pipes) pipe.resume();
  }

  /** Ends all connections; new ones pass. */
  end(how: Ending = "destroy"): void {
    for (const pipe of this.#pipes) pipe.end(how);
  }

  /** Ends all connections, and takes no new ones until {@link accept}. */
  refuse(): void {
    this.#isRefusing = true;
    this.end();
  }

  /** Takes connections again. */
  accept(): void {
    this.#isRefusing = false;
  }

  /** Bytes come so much later from now on; what still waits comes at once. */
  delay(ms: number): void {
    this.#delayMs = ms;
    for (const pipe of this.#pipes) pipe.delay(ms);
  }

  close(): void {
    this.#server.close();
    this.unblock();
  }

  #add(way: Way, from: Socket, to: Socket): void {
    const pipe = new Pipe({ way, from, to, spoilt: this.#spoilt });
    if (this.#isBlocked) pipe.deafen("both");
    pipe.delay(this.#delayMs);
    this.#pipes.add(pipe);
    from.on("close", () => this.#pipes.delete(pipe));
  }
}

interface PipeParts {
  readonly way: Way;
  readonly from: Socket;
  readonly to: Socket;
  readonly spoilt: { -readonly [K in keyof Spoilt]: Spoilt[K] };
}

/** What waits to be passed on: bytes, or nothing for the end of the connection. */
type Piece = Uint8Array | undefined;

/** One direction of one connection. */
class Pipe {
  readonly #parts: PipeParts;
  #isDeaf = false;
  #delayMs = 0;
  #waiting: { readonly dueMs: number; readonly piece: Piece }[] = [];
  #isArmed = false;

  constructor(parts: PipeParts) {
    this.#parts = parts;
    const { from } = parts;
    from.on("data", (bytes: Uint8Array) => this.#take(bytes));
    from.on("error", () => {});
    from.on("close", () => this.#take(undefined));
  }

  deafen(way: Way): void {
    if (way !== "both" && way !== this.#parts.way) return;
    this.#isDeaf = true;
    this.#waiting = [];
  }

  stall(): void {
    if (this.#parts.way === "toClient") this.#parts.from.pause();
  }

  resume(): void {
    this.#parts.from.resume();
  }

  end(how: Ending): void {
    const { from, spoilt, way } = this.#parts;
    // Both directions are of one connection, which is counted once.
    if (way === "toServer" && !from.destroyed) spoilt.ended++;
    from[how]();
  }

  delay(ms: number): void {
    this.#delayMs = ms;
    for (const { piece } of this.#waiting.splice(0)) this.#pass(piece);
  }

  #take(piece: Piece): void {
    if (this.#isDeaf) {
      this.#parts.spoilt.swallowed += piece?.length ?? 0;
    } else if (this.#delayMs === 0 && this.#waiting.length === 0) {
      this.#pass(piece);
    } else {
      this.#parts.spoilt.late += piece?.length ?? 0;
      this.#waiting.push({ dueMs: performance.now() + this.#delayMs, piece });
      this.#arm();
    }
  }

  #arm(): void {
    const [first] = this.#waiting;
    const isHeld = first === undefined || first.dueMs === Number.POSITIVE_INFINITY;
    if (isHeld || this.#isArmed) return;
    this.#isArmed = true;
    const flush = (): void => {
      this.#isArmed = false;
      const nowMs = performance.now();
      while ((this.#waiting[0]?.dueMs ?? nowMs + 1) <= nowMs) {
        this.#pass(this.#waiting.shift()!.piece);
      }
      this.#arm();
    };
    setTimeout(flush, Math.max(0, first.dueMs - performance.now()));
  }

  #pass(piece: Piece): void {
    const { to } = this.#parts;
    if (piece === undefined) to.destroy();
    else if (!to.destroyed) to.write(piece);
  }
}
