/**
 * The airport: the entity of the demo. Each code (`airport/DFW`) is one, and it exists by being
 * told of a flight.
 *
 * It remembers the number of every flight it counted, so that a message delivered twice is seen and
 * not added: what the demo reports as doubled is what the entities themselves have met.
 */
import { command, defineEntity, query, type Schema } from "../../src/index.ts";

/** A flight as both of its airports see it. */
interface Movement {
  /** The number of the flight; what an airport has counted it does not count again. */
  readonly flight: number;
  /** When it left, local time. */
  readonly at: string;
  /** Minutes; negative when early. */
  readonly delay: number;
  /** Miles. */
  readonly distance: number;
  /** It is sent once more on purpose, because its airport may have died with a node. */
  readonly again?: boolean;
}

/** A flight that leaves. */
export interface Departure extends Movement {
  readonly to: string;
}

/** A flight that lands. */
export interface Arrival extends Movement {
  readonly from: string;
}

/** What an airport has counted; delay and distance are sums over both directions. */
export interface Totals {
  departures: number;
  arrivals: number;
  delay: number;
  distance: number;
  /** Messages that came again. */
  doubled: number;
}

/** What became of a message. */
export type Counted = "counted" | "doubled";

interface State {
  readonly totals: Totals;
  readonly departed: Set<number>;
  readonly landed: Set<number>;
  /** The latest flights, newest first. */
  readonly board: string[];
}

const BOARD_LINES_MAX = 5;

/** Totals of an airport that has seen no flight. */
export function noTotals(): Totals {
  return { departures: 0, arrivals: 0, delay: 0, distance: 0, doubled: 0 };
}

const movement = { flight: "number", at: "string", delay: "number", distance: "number" } as const;

/** See the file's header. */
export const Airport = defineEntity("airport", {
  messages: {
    departure: command<Departure, Counted>({
      input: shape<Departure>({ ...movement, to: "string" }),
    }),
    arrival: command<Arrival, Counted>({ input: shape<Arrival>({ ...movement, from: "string" }) }),
    totals: query<void, Totals>(),
    board: query<void, readonly string[]>(),
  },
  // The state lives in memory alone, and a demo that is left alone overnight should still know it.
  idle: "7d",
  state: (): State => ({
    totals: noTotals(),
    departed: new Set(),
    landed: new Set(),
    board: [],
  }),
  handlers: {
    departure({ state }, flight) {
      const outcome = count(state, state.departed, flight);
      if (outcome === "doubled") return outcome;
      state.totals.departures++;
      post(state, `${flight.at} to ${flight.to}`);
      return outcome;
    },
    arrival({ state }, flight) {
      const outcome = count(state, state.landed, flight);
      if (outcome === "doubled") return outcome;
      state.totals.arrivals++;
      post(state, `${flight.at} from ${flight.from}`);
      return outcome;
    },
    totals: ({ state }) => state.totals,
    board: ({ state }) => state.board,
  },
});

/** Adds what both directions share, unless the flight was counted before. */
function count({ totals }: State, known: Set<number>, flight: Movement): Counted {
  if (known.has(flight.flight)) {
    if (flight.again !== true) totals.doubled++;
    return "doubled";
  }
  known.add(flight.flight);
  totals.delay += flight.delay;
  totals.distance += flight.distance;
  return "counted";
}

function post({ board }: State, line: string): void {
  board.unshift(line);
  board.length = Math.min(board.length, BOARD_LINES_MAX);
}

type Shape<T> = { readonly [K in RequiredKeys<T>]: T[K] extends number ? "number" : "string" };
type RequiredKeys<T> = { [K in keyof T]-?: {} extends Pick<T, K> ? never : K }[keyof T];

/**
 * A schema by hand; any library that speaks Standard Schema (zod, valibot, arktype) fits as well.
 */
function shape<T>(fields: Shape<T>): Schema<T> {
  const expected = Object.entries<string>(fields);
  const validate = (value: unknown): unknown => {
    const given = value as Readonly<Record<string, unknown>>;
    const wrong = expected.filter(([name, type]) => typeof given[name] !== type);
    if (wrong.length === 0) return { value };
    return {
      issues: wrong.map(([name, type]) => ({ message: `must be a ${type}`, path: [name] })),
    };
  };
  return { "~standard": { version: 1, vendor: "flights", validate } };
}
