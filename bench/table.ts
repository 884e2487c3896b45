/** Figures as lines of an aligned table, each printed as soon as it is known. */
import { type Figure, written } from "./figure.ts";

const WIDTHS = [42, 13, 14, 11, 11, 11, 14, 6] as const;

/** The line above all others. */
export function heading(): string {
  return row(["name", "runtime", "ops/s", "p50", "p99", "n", "floor", "ratio"], "goal");
}

/** One figure. */
export function line(figure: Figure): string {
  const { name, runtime, unit, ops, p50Us, p99Us, n, floor, ratio, goals } = figure;
  const cells = [
    name,
    runtime,
    inUnit(ops, unit),
    p50Us === null ? "" : duration(p50Us),
    p99Us === null ? "" : duration(p99Us),
    written(n),
    floor === null ? "" : inUnit(floor, unit),
    ratio === null ? "" : ratio.toFixed(2),
  ];
  const verdicts = goals.map(
    ({ goal, isReached }) => `${isReached ? "ok" : "BELOW GOAL"}: ${goal}`,
  );
  return row(cells, verdicts.join(", "));
}

function row(cells: readonly string[], last: string): string {
  const padded = cells.map((cell, i) => {
    const width = WIDTHS[i]!;
    return i < 2 ? cell.padEnd(width) : cell.padStart(width);
  });
  return `${padded.join(" ")}  ${last}`.trimEnd();
}

function inUnit(value: number, unit: Figure["unit"]): string {
  return unit === "/s" ? written(value) : `${written(value)} ${unit}`;
}

function duration(us: number): string {
  return us < 10_000 ? `${written(us)} µs` : `${written(us / 1_000)} ms`;
}
