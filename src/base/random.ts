/** The only place that knows chance, beside the clock's file. */

/** Makes identifiers and jitter; a simulation gives a seeded one. */
export interface Random {
  /** A number from 0 up to but not including 1. */
  fraction(): number;
  /** Text of `length` characters 0-9 a-v, five random bits each. */
  text(length: number): string;
}

const ALPHABET = "0123456789abcdefghijklmnopqrstuv";

/** Asked for in bulk: Node.js takes two microseconds per request, however small. */
const words = new Uint32Array(256);
let used: number = words.length;

/** Chance as the platform's cryptographic generator gives it. */
export const systemRandom: Random = {
  fraction() {
    if (used === words.length) {
      crypto.getRandomValues(words);
      used = 0;
    }
    return words[used++]! / 2 ** 32;
  },
  text(length) {
    let text = "";
    for (const byte of crypto.getRandomValues(new Uint8Array(length))) text += ALPHABET[byte & 31];
    return text;
  },
};
