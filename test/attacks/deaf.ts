/**
 * Connections that never read, by the C library: a runtime reads by itself, and has no say in how
 * much the system keeps for a connection. Without a word on that, two ends on one machine would
 * keep four megabytes of each; these keep some ten kilobytes, as one with a far end does.
 */
import { equal } from "node:assert/strict";
import { dlopen, FFIType, ptr } from "bun:ffi";

const { i32, i64, u32, u64, ptr: pointer } = FFIType;
const { symbols: libc } = dlopen("libc.so.6", {
  socket: { args: [i32, i32, i32], returns: i32 },
  setsockopt: { args: [i32, i32, i32, pointer, u32], returns: i32 },
  connect: { args: [i32, pointer, u32], returns: i32 },
  write: { args: [i32, pointer, u64], returns: i64 },
  close: { args: [i32], returns: i32 },
});

const [INET, STREAM] = [2, 1];
/** Level, name and value: segments of so many bytes, and the least that can wait to be read. */
const OPTIONS = [
  [6, 2, 536],
  [1, 8, 4_096],
] as const;

/** Connects, asks, and never reads. */
export class DeafSocket implements Disposable {
  readonly #file: number;

  constructor(port: number, request: string) {
    this.#file = libc.socket(INET, STREAM, 0);
    for (const [level, name, value] of OPTIONS) {
      equal(libc.setsockopt(this.#file, level, name, ptr(Int32Array.of(value)), 4), 0);
    }
    const address = Uint8Array.of(
      INET,
      0,
      port >> 8,
      port & 255,
      127,
      0,
      0,
      1,
      ...Array(8).fill(0),
    );
    equal(libc.connect(this.#file, ptr(address), address.length), 0, "it is connected");
    const bytes = Buffer.from(request);
    equal(Number(libc.write(this.#file, ptr(bytes), bytes.length)), bytes.length);
  }

  [Symbol.dispose](): void {
    libc.close(this.#file);
  }
}
