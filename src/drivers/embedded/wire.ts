/**
 * Frames on a TCP connection: four bytes of length, little endian, then as many bytes. A length
 * beyond the limit ends the connection before a byte of it is kept.
 */
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { FRAME_BYTES_MAX } from "../../base/limits.ts";

const PREFIX_BYTES = 4;
const HANG_UP_MS = 200;

/** An object of JSON that nobody has checked yet. */
export type Json = Readonly<Record<string, unknown>>;

/** A connection as the hub and its clients see it. */
export interface JsonWire {
  writeJson(value: object): void;
  /**
   * Calls `each` with every message; `false`, like one that makes no sense, ends the connection.
   */
  receiveJson(each: (message: Json) => boolean): void;
  onClose(run: (error: Error) => void): void;
  destroy(): void;
}

/** One connection; frames wait in it until somebody reads or receives them. */
export class Wire implements JsonWire {
  /** A frame may have so many bytes. */
  frameBytesMax: number = FRAME_BYTES_MAX;
  readonly #socket: Socket;
  #chunks: Uint8Array[] = [];
  #length = 0;
  /** With fewer bytes than these there is nothing to be done. */
  #needed = PREFIX_BYTES;
  #each: ((frame: Uint8Array | undefined) => boolean) | undefined;
  #error = new Error("the connection closed");

  constructor(socket: Socket) {
    this.#socket = socket;
    // A failing socket closes too, and closing is what the owner of the connection acts on.
    socket.on("error", (error) => (this.#error = error));
    socket.on("data", (chunk: Uint8Array) => {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
      this.#drain();
    });
  }

  /** Calls `run` when the connection has ended. */
  onClose(run: (error: Error) => void): void {
    this.#socket.once("close", () => run(this.#error));
  }

  /** Writes one frame; what the socket cannot take at once it keeps. */
  write(frame: Uint8Array): void {
    const bytes = Buffer.allocUnsafe(PREFIX_BYTES + frame.length);
    bytes.writeUInt32LE(frame.length, 0);
    bytes.set(frame, PREFIX_BYTES);
    this.#socket.write(bytes);
  }

  /** Writes one frame of JSON. */
  writeJson(value: object): void {
    this.write(Buffer.from(JSON.stringify(value)));
  }

  /** The next frame, empty when it is none; rejects when the connection ends before. */
  read(): Promise<Json> {
    return new Promise((resolve, reject) => {
      this.onClose(reject);
      this.#each = (frame) => {
        this.#each = undefined;
        resolve((frame && readJson(frame)) ?? {});
        return frame !== undefined;
      };
      this.#drain();
    });
  }

  /**
   * Calls `each` with every frame; `false`, like a frame that is too large, ends the connection.
   */
  receive(each: (frame: Uint8Array) => boolean): void {
    this.#each = (frame) => frame !== undefined && each(frame);
    this.#drain();
  }

  receiveJson(each: (message: Json) => boolean): void {
    this.receive((frame) => {
      const message = readJson(frame);
      return message !== undefined && each(message);
    });
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** See {@link hangUp}. */
  hangUp(): void {
    hangUp(this.#socket);
  }

  #drain(): void {
    while (this.#each !== undefined && this.#length >= this.#needed) {
      const frame = this.#next();
      if (frame === "partial") return;
      if (!this.#each(frame)) {
        this.#needed = Number.POSITIVE_INFINITY;
        if (this.#each !== undefined) this.destroy();
      }
    }
  }

  /** The next frame; nothing for one that is too large. */
  #next(): Uint8Array | undefined | "partial" {
    // Joined when a frame is whole, not with each chunk: a large frame comes in many.
    const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#chunks = [bytes];
    const end = PREFIX_BYTES + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    if (end - PREFIX_BYTES > this.frameBytesMax) return undefined;
    this.#needed = end;
    if (this.#length < end) return "partial";
    this.#chunks = [bytes.subarray(end)];
    this.#length -= end;
    this.#needed = PREFIX_BYTES;
    return bytes.subarray(PREFIX_BYTES, end);
  }
}

/** Sends what was written and closes; who does not hang up in return is hung up on. */
export function hangUp(socket: Socket): void {
  socket.setTimeout(HANG_UP_MS, () => socket.destroy()).end();
}

/**
 * One end of a connection within this process, which costs no sockets; nothing is copied. `other`
 * hears what is written.
 */
export class LocalEnd implements JsonWire {
  other: LocalEnd | undefined;
  #each: (message: Json) => boolean = () => true;

  writeJson(value: object): void {
    const { other } = this;
    if (other !== undefined) queueMicrotask(() => other.#each(value as Json));
  }

  receiveJson(each: (message: Json) => boolean): void {
    this.#each = each;
  }

  onClose(): void {} // Both ends go together.

  destroy(): void {
    this.other = undefined;
  }
}

/** Reads one frame of JSON, or `undefined` when it is none or no object. */
function readJson(frame: Uint8Array): Json | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(frame));
    return typeof value === "object" && value !== null ? (value as Json) : undefined;
  } catch {
    return undefined; // Foreign bytes on the port.
  }
}
