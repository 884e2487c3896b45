/** How long to wait before something is tried again. */
import type { Random } from "./random.ts";

/** First wait, and the longest, in milliseconds. */
export interface Backoff {
  readonly firstMs: number;
  readonly longestMs: number;
}

/**
 * The wait after `tries` failures: it doubles, and up to half of it is left to chance, so that not
 * all come back at the same moment. Source: Brooker, "Exponential Backoff And Jitter", 2015.
 */
export function backoffMs(tries: number, { firstMs, longestMs }: Backoff, random: Random): number {
  return Math.min(longestMs, firstMs * 2 ** tries) * (0.5 + random.fraction() / 2);
}
