/**
 * The load of all throughput cases: so many async loops, each of which waits for its call before it
 * makes the next one. Every 64th call is timed; timing all would cost more than a local call does.
 */
import type { Load } from "./contest.ts";

const SAMPLE_MASK = 63;

/** A load of `inFlight` loops over `call`, which is given the number of the call. */
export function inFlight(loops: number, call: (n: number) => Promise<unknown> | void): Load {
  return async (count, latenciesMs) => {
    let next = 0;
    const loop = async (): Promise<void> => {
      for (let n = next++; n < count; n = next++) {
        if ((n & SAMPLE_MASK) === 0) {
          const beganMs = performance.now();
          await call(n);
          latenciesMs.push(performance.now() - beganMs);
        } else {
          await call(n);
        }
      }
    };
    await Promise.all(Array.from({ length: loops }, loop));
  };
}

/** One call after the other, each of them timed: for latencies. */
export function oneByOne(call: (n: number) => Promise<unknown>): Load {
  return async (count, latenciesMs) => {
    for (let n = 0; n < count; n++) {
      const beganMs = performance.now();
      await call(n);
      latenciesMs.push(performance.now() - beganMs);
    }
  };
}
