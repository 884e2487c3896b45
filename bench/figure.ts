/** What a case reports: one figure, beside the floor that was measured in the same run. */

import { runtimeOf } from "../src/base/runtime.ts";
import type { Outcome } from "./measure/contest.ts";
import { median } from "./measure/statistics.ts";

/** One printed line, and with `--json` one object. */
export interface Figure {
  readonly name: string;
  /** Name and version, for example `bun 1.4.5`. */
  readonly runtime: string;
  /** What `ops` and `floor` count; operations per second unless said, × is by the ideal. */
  readonly unit:
    | "/s"
    | "µs"
    | "ms"
    | "MB"
    | "bytes"
    | "×"
    | "frames"
    | "writes"
    | "requests"
    | "messages"
    | "records";
  /** The figure itself, in `unit`: the median of all rounds. */
  readonly ops: number;
  /** Microseconds of one operation at this load; null where there is no such thing. */
  readonly p50Us: number | null;
  readonly p99Us: number | null;
  /** How many operations, processes or entities the figure stands on. */
  readonly n: number;
  /** The same for the least that could do the job, in `unit`; null where there is none. */
  readonly floor: number | null;
  /**
   * `ops / floor`: the median of the ratios of neighbouring rounds, not the ratio of the medians.
   */
  readonly ratio: number | null;
  readonly goals: readonly Goal[];
}

/** What a figure is meant to reach. A goal that is missed is said and fails nothing. */
export interface Goal {
  readonly goal: string;
  readonly isReached: boolean;
}

/** A goal with a bound below. */
export function atLeast(value: number, bound: number, unit: string): Goal {
  return { goal: `≥ ${written(bound)} ${unit}`, isReached: value >= bound };
}

/** A goal with a bound above. */
export function atMost(value: number, bound: number, unit: string): Goal {
  return { goal: `≤ ${written(bound)} ${unit}`, isReached: value <= bound };
}

/** The line of a contest: operations per second, beside those of its floor. */
export function rateFigure(
  name: string,
  { subject, floor, ratio, n }: Outcome,
  goals: readonly Goal[] = [],
): Figure {
  const { name: runtime, version } = runtimeOf();
  return {
    name,
    runtime: `${runtime} ${version}`,
    unit: "/s",
    ops: subject.opsPerSecond,
    p50Us: subject.p50Us,
    p99Us: subject.p99Us,
    n,
    floor: floor.opsPerSecond,
    ratio,
    goals,
  };
}

/** The line of something that is counted and not timed: the same in every run. */
export function countFigure(
  name: string,
  counted: Pick<Figure, "unit" | "ops" | "n"> & Partial<Pick<Figure, "floor">>,
  goals: readonly Goal[] = [],
): Figure {
  const { name: runtime, version } = runtimeOf();
  const { floor = null, ops } = counted;
  const ratio = floor === null ? null : ops / floor;
  const untimed = { p50Us: null, p99Us: null };
  return { ...counted, ...untimed, name, runtime: `${runtime} ${version}`, floor, ratio, goals };
}

/** The line of something that takes milliseconds: the median, with the slowest beside it. */
export function tookFigure(name: string, tookMs: readonly number[], boundMs: number): Figure {
  const ops = median(tookMs);
  const { name: runtime, version } = runtimeOf();
  return {
    name,
    runtime: `${runtime} ${version}`,
    unit: "ms",
    ops,
    p50Us: ops * 1_000,
    p99Us: Math.max(...tookMs) * 1_000,
    n: tookMs.length,
    floor: null,
    ratio: null,
    goals: [atMost(ops, boundMs, "ms")],
  };
}

/** A number for people: three places at most, thousands apart. */
export function written(value: number): string {
  const places = value < 10 ? 2 : value < 1_000 ? 1 : 0;
  const rounded = Number(value.toFixed(places));
  return rounded.toLocaleString("en-US", { maximumFractionDigits: places });
}
