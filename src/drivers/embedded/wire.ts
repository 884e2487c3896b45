/**
 * Frames on a TCP connection: four bytes of length, little endian, then as many bytes. A length
 * beyond the limit ends the connection before a byte of it is kept.
 */
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { FRAME_BYTES_MAX } from "../../base/limits.ts";

const PREFIX_BYTES = 4;
const HANG_UP_MS = 200;

/** Sends what was written and closes; who does not hang up in return is hung up on. */
export function hangUp(socket: Socket): void {
  socket.setTimeout(HANG_UP_MS, () => socket.destroy()).end();
}

/** Writes one frame; what the socket cannot take at once it keeps. */
export function writeFrame(socket: Socket, frame: Uint8Array): void {
  const bytes = Buffer.allocUnsafe(PREFIX_BYTES + frame.length);
  bytes.writeUInt32LE(frame.length, 0);
  bytes.set(frame, PREFIX_BYTES);
  socket.write(bytes);
}

/** Writes one frame of JSON. */
export function writeJson(socket: Socket, value: object): void {
  writeFrame(socket, Buffer.from(JSON.stringify(value)));
}

/** Reads one frame of JSON, or `undefined` when it is none or no object. */
export function readJson(frame: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(frame));
    return typeof value === "object" && value !== null
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined; // Foreign bytes on the port.
  }
}

/** Cuts a stream of bytes into frames. */
export class FrameCutter {
  /** A frame may have so many bytes. */
  frameBytesMax: number = FRAME_BYTES_MAX;
  /** True once a length made no sense: nothing that follows can be read. */
  isBroken = false;
  #chunks: Uint8Array[] = [];
  #length = 0;
  /** With fewer bytes than these there is nothing to be done. */
  #needed = PREFIX_BYTES;

  /** Takes in what arrived; the bytes must not be changed afterwards. */
  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** The next frame that is whole. */
  next(): Uint8Array | undefined {
    if (this.#length < this.#needed || this.isBroken) return undefined;
    // Joined when a frame is whole, not with each chunk: a large frame comes in many.
    const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#chunks = [bytes];
    const end = PREFIX_BYTES + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    this.isBroken = end - PREFIX_BYTES > this.frameBytesMax;
    this.#needed = end;
    if (this.isBroken || this.#length < end) return undefined;
    this.#chunks = [bytes.subarray(end)];
    this.#length -= end;
    this.#needed = PREFIX_BYTES;
    return bytes.subarray(PREFIX_BYTES, end);
  }
}

/** A connection behind its handshake; what came after that waits in the cutter. */
export interface Connection {
  readonly socket: Socket;
  readonly cutter: FrameCutter;
}

/** Calls `each` with every frame; `false`, like a frame that is too large, ends the connection. */
export function receiveFrames(
  { socket, cutter }: Connection,
  each: (frame: Uint8Array) => boolean,
): void {
  const drain = (): void => {
    for (let frame = cutter.next(); frame !== undefined; frame = cutter.next()) {
      if (!each(frame)) return void socket.destroy();
    }
    if (cutter.isBroken) socket.destroy();
  };
  // A failing socket closes too, and closing is what the owner of the connection acts on.
  socket.on("error", () => {});
  socket.on("data", (chunk: Uint8Array) => {
    cutter.push(chunk);
    drain();
  });
  drain();
  socket.resume();
}
