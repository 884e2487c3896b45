/**
 * The only place that knows the time. Everything else is given a {@link Clock}, so that a test or a
 * simulation owns time: it can stop it, skip it, and run the same second twice.
 */
// Not the global of this name, which is a getter: turns read the clock twice.
import { performance } from "node:perf_hooks";
import { clearTimeout, setImmediate, setTimeout } from "node:timers";

/** Time as the house sees it. */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary start; never compare them between processes. */
  nowMs(): number;
  /** Wall clock in milliseconds since 1970; may jump. */
  wallMs(): number;
  /** Calls `run` once after `delayMs`; the result cancels it, also when it has run. */
  after(delayMs: number, run: () => void): () => void;
  /** Calls `run` soon, but lets timers and sockets that are due go first. */
  yield(run: () => void): void;
}

/** The clock of the machine. Its timers keep the process alive. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
  yield: (run) => setImmediate(run),
};
