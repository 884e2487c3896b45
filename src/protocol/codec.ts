/** What may travel, and how much of it: the same for a message that stays in the process. */
import { MESSAGE_BYTES_MAX } from "../base/limits.ts";
import { charsMaxOfLastCopy, copyPlain } from "../base/plain.ts";

/** Thrown for a value that is too large. */
export class OversizeError extends Error {
  readonly bytes: number;
  readonly bytesMax: number = MESSAGE_BYTES_MAX;
  constructor(bytes: number) {
    super(`${bytes} bytes, at most ${MESSAGE_BYTES_MAX}`);
    this.name = "OversizeError";
    this.bytes = bytes;
  }
}

/**
 * A copy of plain data that shares nothing with it: what arrives is what would have come over a
 * link, and what is changed later is not seen.
 *
 * @throws {NotPlainError | OversizeError} when a link could not carry it.
 */
export function copyValue(value: unknown): unknown {
  const copy = copyPlain(value);
  if (charsMaxOfLastCopy() > MESSAGE_BYTES_MAX) {
    const bytes = new TextEncoder().encode(JSON.stringify(copy)).length;
    if (bytes > MESSAGE_BYTES_MAX) throw new OversizeError(bytes);
  }
  return copy;
}
