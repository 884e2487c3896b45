/** The embedded driver's wire by hand: what another version, or no node at all, may say. */
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import { connect, createServer, type Server, type Socket } from "node:net";
import { PROTOCOL } from "../../src/base/limits.ts";
import { waitUntil } from "../contracts/wait-until.ts";

/** What a node says of itself when it connects. */
export interface Introduction {
  readonly cluster: string;
  readonly secret: string;
  readonly purpose: "authority" | "link" | "node";
  readonly incarnation: string;
}

/** A server on `port` that is no node; the result closes it. */
export async function foreignServer(
  port: number,
  meet: (socket: Socket) => void,
): Promise<() => Promise<void>> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    meet(socket);
  });
  await new Promise<void>((resolve) => server.listen({ host: "127.0.0.1", port }, resolve));
  return () =>
    new Promise((resolve) => {
      for (const socket of sockets) socket.destroy();
      server.close(() => resolve());
    });
}

/** `payload` behind its length. */
export function frameOf(payload: Uint8Array | string): Buffer {
  const bytes = Buffer.from(payload as string);
  const prefix = Buffer.alloc(4);
  prefix.writeUInt32LE(bytes.length, 0);
  return Buffer.concat([prefix, bytes]);
}

/** So many bytes of a sealed frame come before its own. */
const SEALED_PREFIX_BYTES = 20;

/** What a side writes under `key`: each frame with its number, as the wire has it. */
export function sealer(key: Buffer): (payload: Uint8Array | string) => Buffer {
  let number = 0n;
  return (payload) => {
    const frame = frameOf(payload);
    const place = Buffer.alloc(SEALED_PREFIX_BYTES - 4);
    place.writeBigUInt64LE(number++, 0);
    const [head, body] = [frame.subarray(0, 4), frame.subarray(4)];
    const tag = createHmac("sha256", key)
      .update(Buffer.concat([head, place, body]))
      .digest();
    return Buffer.concat([head, tag.subarray(0, place.length), body]);
  };
}

/** A connection to a node, byte by byte. */
export class RawConnection {
  readonly socket: Socket;
  readonly frames: string[] = [];
  isClosed = false;
  /** Seals what is sent, once the other side knows who this is. */
  seal: (payload: Uint8Array | string) => Buffer = frameOf;
  /** After the next frame all others have tags. */
  #expectTags = false;
  #prefixBytes = 4;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(port: number) {
    // It hangs up when it likes to, not when the other side does.
    this.socket = connect({ host: "127.0.0.1", port, noDelay: true, allowHalfOpen: true });
    this.socket.on("error", () => {});
    for (const event of ["end", "close"]) this.socket.once(event, () => (this.isClosed = true));
    this.socket.on("data", (chunk) => this.#take(chunk));
  }

  /** Connects, and proves to know the secret. */
  static introduced(port: number, who: Introduction): Promise<RawConnection> {
    return RawConnection.introduce(new RawConnection(port), who);
  }

  /** Proves to know the secret on a connection that is new. */
  static async introduce(connection: RawConnection, who: Introduction): Promise<RawConnection> {
    const greeting = JSON.parse(await connection.frame()) as { nonce: string };
    const { cluster, secret, purpose, incarnation } = who;
    const nonce = "our nonce";
    const derive = (what: string): Buffer => {
      const said = [what, greeting.nonce, nonce, cluster, purpose, incarnation];
      return createHmac("sha256", secret).update(JSON.stringify(said)).digest();
    };
    const proof = derive("client").toString("hex");
    connection.write(
      frameOf(JSON.stringify({ protocol: PROTOCOL, cluster, purpose, incarnation, nonce, proof })),
    );
    connection.#expectTags = purpose === "node";
    await connection.frame();
    if (purpose === "node") connection.seal = sealer(derive("frames of the client"));
    return connection;
  }

  /** Writes one frame, sealed where that is wanted. */
  send(payload: Uint8Array | string): void {
    this.write(this.seal(payload));
  }

  write(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** The next frame that the other side sends. */
  async frame(): Promise<string> {
    await waitUntil("a frame comes", () => this.frames.length > 0 || this.isClosed);
    const frame = this.frames.shift();
    if (frame === undefined) throw new Error("The connection was closed before a frame came");
    return frame;
  }

  /** Resolves when the other side has said a frame with `text` in it. */
  async says(text: string): Promise<void> {
    while (!(await this.frame()).includes(text));
  }

  /** Resolves when the other side has said a frame with `text` in it, or has hung up. */
  async saysOrEnds(text: string): Promise<void> {
    await waitUntil(
      `it says ${text}, or hangs up`,
      () => this.isClosed || this.frames.some((frame) => frame.includes(text)),
    );
  }

  /** Resolves when the other side has hung up. */
  async closed(what: string, timeoutMs = 2_000): Promise<void> {
    const describe = (): unknown => this.frames;
    await waitUntil(`${what}: it hangs up`, () => this.isClosed, { timeoutMs, describe });
  }

  close(): void {
    this.socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    while (this.#bytes.length >= 4) {
      const end = this.#prefixBytes + this.#bytes.readUInt32LE(0);
      if (this.#bytes.length < end) return;
      this.frames.push(this.#bytes.toString("utf8", this.#prefixBytes, end));
      this.#bytes = this.#bytes.subarray(end);
      if (this.#expectTags) this.#prefixBytes = SEALED_PREFIX_BYTES;
    }
  }
}
