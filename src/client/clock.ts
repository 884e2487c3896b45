/** The only place of the client that knows the time: by globals, which browsers have as well. */
import type { Clock } from "../base/clock.ts";

/** What a client needs of time. */
export type ClientClock = Omit<Clock, "yield">;

/** The clock of the machine. */
export const webClock: ClientClock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};
