/** The one place of the edge that knows time. */

/** Calls `run` every `ms`; the result ends that. */
export function tick(ms: number, run: () => void): () => void {
  const timer = setInterval(run, ms);
  return () => clearInterval(timer);
}
