/** Compares what the airports counted with what a plain loop over the file says. */
import type { Totals } from "./airport.ts";
import type { Owners } from "./lines.ts";

/** How the two differ; all is well if everything is 0. */
export interface Verdict {
  /** Messages that no airport counted. */
  readonly lost: number;
  /** Messages that came more than once: noticed by the airport, or counted twice. */
  readonly doubled: number;
  /** Airports of which any figure differs. */
  readonly different: readonly string[];
}

/** `found` is in the order of `expected`. */
export function compare(expected: ReadonlyMap<string, Totals>, found: readonly Totals[]): Verdict {
  let lost = 0;
  let doubled = 0;
  const different: string[] = [];
  for (const [at, [code, want]] of [...expected].entries()) {
    const have = found[at]!;
    for (const direction of ["departures", "arrivals"] as const) {
      lost += Math.max(0, want[direction] - have[direction]);
      doubled += Math.max(0, have[direction] - want[direction]);
    }
    doubled += have.doubled;
    const isSame = (Object.keys(want) as (keyof Totals)[]).every((key) => want[key] === have[key]);
    if (!isSame) different.push(code);
  }
  return { lost, doubled, different };
}

/** True if the cluster counted what the loop counted, and nothing came twice. */
export function isClean({ lost, doubled, different }: Verdict): boolean {
  return lost === 0 && doubled === 0 && different.length === 0;
}

/** An airport with what it counted, and where it lives. */
export interface BusyAirport extends Totals {
  readonly code: string;
  readonly owner: string;
}

const BUSIEST = 10;

/** The airports with the most flights, busiest first; all three lists are in one order. */
export function busiestOf(
  airports: readonly string[],
  found: readonly Totals[],
  owners: Owners,
): BusyAirport[] {
  return airports
    .map((code, at) => ({ code, owner: owners[at] ?? "nobody", ...found[at]! }))
    .sort((a, b) => flightsOf(b) - flightsOf(a) || (a.code < b.code ? -1 : 1))
    .slice(0, BUSIEST);
}

function flightsOf({ departures, arrivals }: Totals): number {
  return departures + arrivals;
}
