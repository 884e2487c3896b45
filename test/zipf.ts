/** Ids by Zipf's law (s = 1): quickly, and the same for the same seed. */
import { World } from "../src/testing/world.ts";

/**
 * Makes what draws ranks from 1 to `count`, rank r with a probability proportional to 1 / r: by
 * bisection of what the ranks have summed up, twenty steps for a million.
 */
export function zipf(count: number, seed: number): () => number {
  const sums = new Float64Array(count + 1);
  for (let rank = 1; rank <= count; rank++) sums[rank] = sums[rank - 1]! + 1 / rank;
  const world = new World(seed);
  return () => {
    const wanted = world.fraction() * sums[count]!;
    let [low, high] = [0, count];
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (sums[middle]! <= wanted) low = middle;
      else high = middle;
    }
    return high;
  };
}
