/**
 * A load that does not wait: so many calls per second, whether or not the ones before have been
 * answered, as users make them. A call's latency counts from when it was due, so that a caller that
 * is kept from making its calls does not hide it (coordinated omission).
 */
import { setTimeout as wait } from "node:timers/promises";

/** See the file's header. */
export interface OpenLoop {
  readonly perSecond: number;
  readonly forMs: number;
}

/** What each call took, from when it was due; resolves when all have been answered. */
export async function openLoop(
  { perSecond, forMs }: OpenLoop,
  call: (n: number) => Promise<unknown>,
): Promise<Float64Array> {
  const count = Math.round((perSecond * forMs) / 1_000);
  const latenciesMs = new Float64Array(count);
  const everyMs = 1_000 / perSecond;
  const beganMs = performance.now();
  const under: Promise<void>[] = [];
  const time = async (n: number): Promise<void> => {
    await call(n);
    latenciesMs[n] = performance.now() - beganMs - n * everyMs;
  };
  while (under.length < count) {
    const dueMs = performance.now() - beganMs;
    while (under.length < count && under.length * everyMs <= dueMs) under.push(time(under.length));
    await wait(1);
  }
  await Promise.all(under);
  return latenciesMs;
}
