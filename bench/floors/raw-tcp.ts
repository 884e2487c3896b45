/**
 * The floor of messages between processes: one TCP connection, frames with a length in front, all
 * that is sent in one tick in one frame, a frame one JSON text (the quickest use of the codec that
 * catga uses: `[id, body, id, body, …]`), a map of open calls and a promise per call.
 *
 * No addressing, no order across connections, no acknowledgement, no deadline, no check of what is
 * sent: a lost connection loses everything on it.
 */
import { Buffer } from "node:buffer";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setImmediate } from "node:timers";

const HOST = "127.0.0.1";
const PREFIX_BYTES = 4;

/** Serves `answer` on a free port of loopback. */
export async function serveRaw(
  answer: (body: unknown) => unknown,
): Promise<{ readonly port: number; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    const frames = new Frames(socket, (id, body) => frames.add(id, answer(body)));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: HOST, port: 0 }, resolve);
  });
  const close = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { port: (server.address() as AddressInfo).port, close };
}

/** Calls what {@link serveRaw} serves. */
export class RawCaller {
  readonly #socket: Socket;
  readonly #frames: Frames;
  readonly #open = new Map<number, (body: unknown) => void>();
  #lastId = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#frames = new Frames(socket, (id, body) => {
      const resolve = this.#open.get(id);
      this.#open.delete(id);
      resolve?.(body);
    });
  }

  static connect(port: number): Promise<RawCaller> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: HOST, port, noDelay: true }, () => {
        resolve(new RawCaller(socket));
      });
      socket.once("error", reject);
    });
  }

  call(body: unknown): Promise<unknown> {
    const id = ++this.#lastId;
    return new Promise((resolve) => {
      this.#open.set(id, resolve);
      this.#frames.add(id, body);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

class Frames {
  readonly #socket: Socket;
  readonly #each: (id: number, body: unknown) => void;
  #batch: unknown[] = [];
  #rest: Buffer = Buffer.alloc(0);

  constructor(socket: Socket, each: (id: number, body: unknown) => void) {
    this.#socket = socket;
    this.#each = each;
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
  }

  add(id: number, body: unknown): void {
    this.#batch.push(id, body);
    if (this.#batch.length === 2) setImmediate(() => this.#flush());
  }

  #flush(): void {
    const text = JSON.stringify(this.#batch);
    this.#batch = [];
    const length = Buffer.byteLength(text);
    const frame = Buffer.allocUnsafe(PREFIX_BYTES + length);
    frame.writeUInt32LE(length, 0);
    frame.write(text, PREFIX_BYTES);
    this.#socket.write(frame);
  }

  #receive(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= PREFIX_BYTES) {
      const end = PREFIX_BYTES + bytes.readUInt32LE(0);
      if (bytes.length < end) break;
      const items = JSON.parse(bytes.toString("utf8", PREFIX_BYTES, end)) as unknown[];
      for (let i = 0; i < items.length; i += 2) this.#each(items[i] as number, items[i + 1]);
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes;
  }
}
