/**
 * Frames on a TCP connection: four bytes of length, little endian, then as many bytes; between them
 * stands the tag (`seal.ts`) once both sides have proved who they are. The highest bit of the
 * length marks news, where a connection carries both them and the frames of a link. A length beyond
 * the limit ends it before a byte of it is kept, and so does a frame that does not become whole.
 */
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { systemClock } from "../../base/clock.ts";
import { FRAME_TIMEOUT_MS } from "../../base/limits.ts";
import { PREFIX_BYTES, type Seal, TAG_BYTES } from "./seal.ts";

const NEWS_BIT: number = 2 ** 31;
const HANG_UP_MS = 200;
const STRANGER_BYTES_MAX = 4_096;

/** An object of JSON that nobody has checked yet. */
export type Json = Readonly<Record<string, unknown>>;

/** A connection as the hub and its clients see it. */
export type JsonWire = Pick<Wire, "writeJson" | "receiveJson" | "onClose" | "destroy">;

/** Both directions of a connection. */
export interface Seals {
  readonly ours: Seal;
  readonly theirs: Seal;
  /** A frame came that the other side has not sent like this. */
  readonly broken: () => void;
}

/** One connection; frames wait in it until somebody reads or receives them. */
export class Wire {
  /** A frame may have so many bytes: few as long as nobody knows who is there. */
  frameBytesMax: number = STRANGER_BYTES_MAX;
  /** A frame of which a part has come is whole by then. */
  frameTimeoutMs: number = FRAME_TIMEOUT_MS;
  /** Becomes true with everything that comes in. */
  wasHeard = false;
  readonly #socket: Socket;
  #chunks: Buffer[] = [];
  #length = 0;
  /** With fewer bytes than these there is nothing to be done. */
  #needed = PREFIX_BYTES;
  /** Is given the next frame, or nothing for one that is too large. */
  #each: ((frame: Uint8Array | undefined, isNews: boolean) => boolean) | undefined;
  #error = new Error("the connection closed");
  /** Who wants to hear of the end. */
  #listeners: ((error: Error) => void)[] = [];
  /** From here on both sides know each other. */
  #seals: Seals | undefined;
  /** Counts for the frame of which a part has come. */
  #cancelWait: (() => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    // A failing socket closes too, and closing is what the owner of the connection acts on.
    socket.on("error", (error) => (this.#error = error));
    socket.on("data", (chunk: Buffer) => {
      this.wasHeard = true;
      this.#chunks.push(chunk);
      this.#length += chunk.length;
      this.#drain();
      if (this.#length > 0) this.#awaitRest();
    });
    socket.once("close", () => {
      this.#cancelWait?.();
      for (const run of this.#listeners) run(this.#error);
    });
  }

  /** All frames are sealed after this one, in both directions. */
  seal(seals: Seals): void {
    this.#seals = seals;
  }

  /** Calls `run` when the connection has ended; soon, if it had before. */
  onClose(run: (error: Error) => void): void {
    if (this.#socket.closed) queueMicrotask(() => run(this.#error));
    else this.#listeners.push(run);
  }

  /** Writes one frame; what the socket cannot take at once it keeps. */
  write(frame: Uint8Array, isNews = false): void {
    // After the end it would take what is still on its way with it.
    if (this.#socket.writableEnded) return;
    const start = this.#start;
    const bytes = Buffer.allocUnsafe(start + frame.length);
    bytes.writeUInt32LE(frame.length + (isNews ? NEWS_BIT : 0), 0);
    bytes.set(frame, start);
    this.#seals?.ours.put(bytes);
    this.#socket.write(bytes);
  }

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
        return true;
      };
      this.#drain();
    });
  }

  /**
   * Calls `each` with every frame; `false`, like a frame that is too large, ends the connection.
   */
  receive(each: (frame: Uint8Array, isNews: boolean) => boolean): void {
    this.#each = (frame, isNews) => frame !== undefined && each(frame, isNews);
    this.#drain();
  }

  /**
   * Calls `each` with every message; `false`, like one that makes no sense, ends the connection.
   */
  receiveJson(each: (message: Json) => boolean): void {
    this.receive((frame) => {
      const message = readJson(frame);
      return message !== undefined && each(message);
    });
  }

  /** Ends the connection at once. */
  destroy(error?: Error): void {
    this.#socket.destroy(error);
  }

  /**
   * Sends what was written and closes; who does not hang up in return is hung up on. What still
   * comes in is thrown away.
   */
  hangUp(): void {
    const socket = this.#socket;
    if (socket.destroyed) return;
    const cancel = systemClock.after(HANG_UP_MS, () => socket.destroy());
    socket.removeAllListeners("data").resume().end().once("close", cancel);
  }

  /** Where the bytes of a frame begin. */
  get #start(): number {
    return this.#seals === undefined ? PREFIX_BYTES : PREFIX_BYTES + TAG_BYTES;
  }

  /** Who sends a part of a frame and then nothing has no room here for ever. */
  #awaitRest(): void {
    this.#cancelWait ??= systemClock.after(this.frameTimeoutMs, () => {
      this.destroy(new Error("the rest of a frame did not come"));
    });
  }

  #drain(): void {
    while (this.#each !== undefined && this.#length >= this.#needed) {
      // Joined when a frame is whole, not with each chunk: a large frame comes in many.
      const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
      const head = bytes.readUInt32LE(0);
      const isNews = head >= NEWS_BIT;
      const length = isNews ? head - NEWS_BIT : head;
      const isTooLarge = length > this.frameBytesMax;
      const start = this.#start;
      const end = isTooLarge ? bytes.length : start + length;
      this.#chunks = [bytes];
      this.#needed = end;
      if (bytes.length < end) return;
      this.#chunks = bytes.length === end ? [] : [bytes.subarray(end)];
      this.#length -= end;
      this.#needed = PREFIX_BYTES;
      this.#cancelWait?.();
      this.#cancelWait = undefined;
      if (!isTooLarge && this.#seals?.theirs.isNext(bytes.subarray(0, end)) === false) {
        this.#each = undefined;
        this.#seals.broken();
        return this.destroy(new Error("a frame is not what the other side has sent"));
      }
      if (this.#each(isTooLarge ? undefined : bytes.subarray(start, end), isNews)) continue;
      this.#each = undefined;
      this.destroy();
    }
  }
}

/** Both ends of a connection within this process, which costs no sockets; nothing is copied. */
export function localWires(): [JsonWire, JsonWire] {
  const ears: (((message: Json) => boolean) | undefined)[] = [];
  const end = (here: 0 | 1): JsonWire => ({
    writeJson: (value) => queueMicrotask(() => ears[1 - here]?.(value as Json)),
    receiveJson: (each) => void (ears[here] = each),
    onClose() {}, // Both ends go together.
    destroy: () => void (ears[here] = undefined),
  });
  return [end(0), end(1)];
}

/** Reads one frame of JSON, or `undefined` when it is none or no object. */
export function readJson(frame: Uint8Array): Json | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(frame));
    return typeof value === "object" && value !== null ? (value as Json) : undefined;
  } catch {
    return undefined; // Foreign bytes on the port.
  }
}
