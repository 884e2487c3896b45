/** xxHash32 of text in UTF-8: the same number on every runtime and in every version of catga. */
import xxhash from "xxhash-wasm";

/** 32-bit hash of `text`, from 0 to 2^32 - 1; `seed` gives an independent function. */
export type Hash = (text: string, seed?: number) => number;

/** Prepares the hash; afterwards it is synchronous. Source: Yann Collet, xxHash, XXH32. */
export async function loadHash(): Promise<Hash> {
  const api = await xxhash();
  return (text, seed) => api.h32(text, seed);
}
