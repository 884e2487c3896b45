/** Chance that is the same for a seed, so that a failure can be had again. */

/** So many bytes. */
export function randomBytes(length: number, seed: number): Uint8Array {
  let state = seed + 1;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  });
}

/** `frame` with one byte changed, cut short, or with a part of it doubled. */
export function mutated(frame: Uint8Array, seed: number): Uint8Array {
  const [kind = 0, at = 0, value = 0, length = 0] = randomBytes(4, seed * 7 + 1);
  const index = Math.floor((at / 256) * frame.length);
  const copy = Uint8Array.from(frame);
  if (kind < 128) copy[index] = value;
  else if (kind < 192) return copy.subarray(0, index);
  else copy.copyWithin(index, Math.floor((length / 256) * frame.length));
  return copy;
}
