/**
 * Payloads and replies as text. JSON was chosen by measurement (`npm run bench -- codec`): it is
 * the fastest on Bun by a factor of two, near msgpackr on Node.js and Deno, and can be read in a
 * packet dump. What is sent is encoded when it is sent, so later changes of the object are not seen.
 */
import { MESSAGE_BYTES_MAX } from "../base/limits.ts";
import { measurePlain } from "../base/plain.ts";

/** A value that is too large, with its size. */
export interface Oversize {
  readonly bytes: number;
  readonly bytesMax: number;
}

const encoder = new TextEncoder();

/**
 * Plain data as JSON; nothing (`undefined`) as the empty text.
 *
 * @throws {NotPlainError} when it is not plain data.
 */
export function encodeValue(value: unknown): string | Oversize {
  if (value === undefined) return "";
  const { value: plain, charsMax } = measurePlain(value);
  const text = JSON.stringify(plain);
  return charsMax > MESSAGE_BYTES_MAX ? (oversize(text) ?? text) : text;
}

/**
 * A copy of plain data that shares nothing with it: what arrives is what would have come over a
 * link.
 *
 * @throws {NotPlainError} when it is not plain data.
 */
export function copyValue(value: unknown): { readonly copy: unknown } | Oversize {
  const { value: copy, charsMax } = measurePlain(value);
  if (charsMax > MESSAGE_BYTES_MAX) {
    const tooLarge = oversize(JSON.stringify(copy));
    if (tooLarge !== undefined) return tooLarge;
  }
  return { copy };
}

/**
 * The value of a text made by {@link encodeValue}.
 *
 * @throws {SyntaxError} when it is no JSON.
 */
export function decodeValue(text: string): unknown {
  return text === "" ? undefined : JSON.parse(text);
}

function oversize(text: string): Oversize | undefined {
  const bytes = encoder.encode(text).length;
  return bytes > MESSAGE_BYTES_MAX ? { bytes, bytesMax: MESSAGE_BYTES_MAX } : undefined;
}
