/** Durations at the door: `"10s"` or milliseconds outside, milliseconds inside. */
import { DURATION_MS_MAX } from "./limits.ts";

/** Milliseconds, or a number with its unit: `250`, `"250ms"`, `"10s"`, `"5m"`, `"2h"`, `"30d"`. */
export type Duration = number | `${number}${"ms" | "s" | "m" | "h" | "d"}`;

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/**
 * Milliseconds of `duration`; `what` names it in the error.
 *
 * @throws {TypeError} when it is no duration.
 * @throws {RangeError} when it is negative, not finite, or longer than 400 days.
 */
export function durationMs(duration: Duration, what: string): number {
  const parsed = typeof duration === "number" ? duration : parse(duration, what);
  if (!(parsed >= 0 && parsed <= DURATION_MS_MAX)) {
    throw new RangeError(`Cannot use ${what} "${duration}": it must be between 0 and 400 days`);
  }
  return parsed;
}

function parse(given: unknown, what: string): number {
  // Not every object has a text.
  const text = typeof given === "string" ? given : typeof given;
  const match = typeof given === "string" ? /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) : null;
  if (match === null) {
    throw new TypeError(`Cannot use ${what} "${text}": write milliseconds or "10s"`);
  }
  return Number(match[1]) * UNITS_MS[match[2]!]!;
}
