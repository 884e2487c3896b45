/**
 * Payloads and replies as text. JSON was chosen by measurement (`npm run bench -- codec`): it is
 * the fastest on Bun by a factor of two, near msgpackr on Node.js and Deno, and can be read in a
 * packet dump. What is sent is encoded when it is sent, so later changes of the object are not seen.
 */
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

const encoder = new TextEncoder();

/**
 * A copy of plain data that shares nothing with it: what arrives is what would have come over a
 * link.
 *
 * @throws {NotPlainError | OversizeError} when a link could not carry it.
 */
export function copyValue(value: unknown): unknown {
  const copy = copyPlain(value);
  if (charsMaxOfLastCopy() > MESSAGE_BYTES_MAX) checkSize(JSON.stringify(copy));
  return copy;
}

/**
 * Plain data as JSON; nothing (`undefined`) as the empty text.
 *
 * @throws {NotPlainError | OversizeError} when a link could not carry it.
 */
export function encodeValue(value: unknown): string {
  if (value === undefined) return "";
  const text = JSON.stringify(copyPlain(value));
  if (charsMaxOfLastCopy() > MESSAGE_BYTES_MAX) checkSize(text);
  return text;
}

/**
 * The value of a text made by {@link encodeValue}.
 *
 * @throws {SyntaxError} when it is no JSON.
 */
export function decodeValue(text: string): unknown {
  return text === "" ? undefined : JSON.parse(text);
}

function checkSize(text: string): void {
  const bytes = encoder.encode(text).length;
  if (bytes > MESSAGE_BYTES_MAX) throw new OversizeError(bytes);
}
