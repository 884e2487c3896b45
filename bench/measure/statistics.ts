/** Medians and percentiles of samples. */

/** The middle of `values`, which must not be empty. */
export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** The value that the share `part` (0 to 1) of `values` does not exceed. */
export function percentile(values: readonly number[], part: number): number {
  const sorted = Float64Array.from(values).sort();
  const rank = Math.max(0, Math.ceil(sorted.length * part) - 1);
  return sorted[rank] ?? Number.NaN;
}
