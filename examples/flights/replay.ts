/**
 * Sends a node's share of the flights, so many at a time, and keeps the tally.
 *
 * The rule of every caller: what surely did not run (`executed` is `"no"`) is sent again, what may
 * have run is not. The airports would notice a double, but a caller cannot know that of every
 * entity.
 */
import { setTimeout as delay } from "node:timers/promises";
import { type ClusterOf, isCatgaError } from "../../src/index.ts";
import { Airport } from "./airport.ts";
import { type Flight, type FlightMessage, messagesOf } from "./flights.ts";
import type { Portion } from "./lines.ts";

/** What became of the messages. */
export interface Tally {
  sent: number;
  answered: number;
  /** Attempts after the first. */
  retried: number;
  /** The caller cannot know whether these ran. */
  unknown: number;
  /** Given up: these did not run, or failed. */
  failed: number;
  /** The first failure, in words. */
  reason: string | null;
}

/** Which flights to send, and whom to tell. */
export interface Share {
  readonly portion: Portion;
  /** Called now and then with the tally so far. */
  readonly progress: (tally: Tally) => void;
}

type Sender = Pick<ClusterOf<typeof Airport>, "entity">;

const IN_FLIGHT_MAX = 256;
const RETRY_MS = 25;
const RETRIES_MAX = 400;
const PROGRESS_EVERY_MS = 100;

/** A tally before the first message. */
export function noTally(): Tally {
  return { sent: 0, answered: 0, retried: 0, unknown: 0, failed: 0, reason: null };
}

/** Resolves when every message of the share is answered or given up. */
export async function replay(
  cluster: Sender,
  flights: readonly Flight[],
  { portion, progress }: Share,
): Promise<Tally> {
  const tally = noTally();
  const messages = shareOf(flights, portion);
  const timer = setInterval(() => progress(tally), PROGRESS_EVERY_MS);
  // As many loops as may be in flight, all taking from one iterator.
  const lane = async (): Promise<void> => {
    for (const message of messages) await deliver(cluster, message, tally);
  };
  try {
    await Promise.all(Array.from({ length: IN_FLIGHT_MAX }, lane));
  } finally {
    clearInterval(timer);
  }
  return tally;
}

function* shareOf(flights: readonly Flight[], portion: Portion): Generator<FlightMessage> {
  const { from, to, part, parts, again } = portion;
  const airports = portion.airports === null ? null : new Set(portion.airports);
  for (let number = from + part; number < Math.min(to, flights.length); number += parts) {
    for (const each of messagesOf(number, flights[number]!)) {
      if (airports?.has(each.airport) === false) continue;
      yield again ? ({ ...each, message: { ...each.message, again } } as FlightMessage) : each;
    }
  }
}

async function deliver(cluster: Sender, flight: FlightMessage, tally: Tally): Promise<void> {
  tally.sent++;
  const airport = cluster.entity(Airport, flight.airport);
  for (let attempt = 0; ; attempt++) {
    try {
      await airport.send(flight.message);
      tally.answered++;
      return;
    } catch (error) {
      if (!isCatgaError(error)) throw error;
      tally.reason ??= error.message;
      if (error.executed === "maybe") {
        tally.unknown++;
        return;
      }
      if (error.executed === "yes" || attempt === RETRIES_MAX) {
        tally.failed++;
        return;
      }
      tally.retried++;
      await delay(RETRY_MS);
    }
  }
}
