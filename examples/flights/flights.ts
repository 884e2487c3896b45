/** The flights of the file, the messages they become, and what a plain loop over them counts. */
import { readFile } from "node:fs/promises";
import { type Arrival, type Departure, noTotals, type Totals } from "./airport.ts";

const FILE = new URL("../../node_modules/vega-datasets/data/flights-20k.json", import.meta.url);

/** A record of the file; its place in the file is the number of the flight. */
export interface Flight {
  readonly date: string;
  /** Minutes; negative when early. */
  readonly delay: number;
  /** Miles. */
  readonly distance: number;
  readonly origin: string;
  readonly destination: string;
}

/** A message to one airport. */
export type FlightMessage =
  | { readonly airport: string; readonly message: { readonly type: "departure" } & Departure }
  | { readonly airport: string; readonly message: { readonly type: "arrival" } & Arrival };

/** How many messages a flight is: one to each of its airports. */
export const MESSAGES_PER_FLIGHT = 2;

/** Reads all flights. */
export async function loadFlights(): Promise<readonly Flight[]> {
  return JSON.parse(await readFile(FILE, "utf8")) as Flight[];
}

/** The messages of flight number `flight`. */
export function messagesOf(flight: number, record: Flight): readonly FlightMessage[] {
  const { date: at, delay, distance, origin, destination } = record;
  const movement = { flight, at, delay, distance };
  return [
    { airport: origin, message: { type: "departure", ...movement, to: destination } },
    { airport: destination, message: { type: "arrival", ...movement, from: origin } },
  ];
}

/** What every airport must have counted in the end: a plain loop, with no cluster in it. */
export function expectedTotals(flights: readonly Flight[]): ReadonlyMap<string, Totals> {
  const airports = new Map<string, Totals>();
  for (const { origin, destination, delay, distance } of flights) {
    totalsOf(airports, origin).departures++;
    totalsOf(airports, destination).arrivals++;
    for (const code of [origin, destination]) {
      const totals = totalsOf(airports, code);
      totals.delay += delay;
      totals.distance += distance;
    }
  }
  return airports;
}

function totalsOf(airports: Map<string, Totals>, code: string): Totals {
  const known = airports.get(code);
  if (known !== undefined) return known;
  const fresh = noTotals();
  airports.set(code, fresh);
  return fresh;
}
