/** xxHash32 of text in UTF-8: the same number on every runtime and in every version of catga. */
import { xxHash32 } from "js-xxhash";

/** 32-bit hash of `text`, from 0 to 2^32 - 1; `seed` gives an independent function. */
export type Hash = (text: string, seed?: number) => number;

/** A number by which a text that was damaged is told from the one it was; all of it counts. */
export function checksum(text: string): number {
  if (text.length * 3 > bytes.length) return xxHash32(encoder.encode(text));
  return xxHash32(bytes.subarray(0, encoder.encodeInto(text, bytes).written));
}

const BYTES_MAX = 1_024;
const encoder = new TextEncoder();
const bytes = new Uint8Array(4 * BYTES_MAX);
const head = bytes.subarray(0, BYTES_MAX);

/**
 * Hashes a name or an id; of a longer text the first 1,024 bytes count. Source: Yann Collet,
 * xxHash, XXH32.
 */
export function hash(text: string, seed = 0): number {
  const { written } = encoder.encodeInto(text, head);
  return xxHash32(bytes.subarray(0, written), seed);
}
