/** A seat at an authority, for its contract: a port, and everything that it ever reported. */
import { ok } from "node:assert/strict";
import type { Authority, AuthorityListener, Snapshot } from "../../src/ports/authority.ts";
import type { CasResult, Change, Entry } from "../../src/protocol/ledger.ts";
import type { AuthorityRecord } from "../../src/protocol/records.ts";
import type { Closable } from "./check.ts";
import { waitUntil } from "./wait-until.ts";

/** One authority; closing it closes every port that was handed out. */
export interface AuthorityFixture extends Closable {
  /** A port of one more node, not opened yet. */
  join(): Promise<Authority>;
}

/** A port with everything that it ever reported. */
export class Seat implements AuthorityListener {
  readonly authority: Authority;
  readonly heard: Entry[] = [];
  snapshot: Snapshot = { generation: 0, revision: 0, entries: [] };

  constructor(authority: Authority) {
    this.authority = authority;
  }

  changed(entries: readonly Entry[]): void {
    this.heard.push(...entries);
  }

  resynced(): void {
    throw new Error("The feed was never interrupted, and was resynced");
  }

  lost(error: Error): void {
    throw new Error("The authority was never lost, and reported so", { cause: error });
  }

  /** The newest entry of `key` in the feed. */
  heardOf(key: string): Entry | undefined {
    return this.heard.findLast((entry) => entry.key === key);
  }
}

/** A new port, opened. */
export async function sit(fixture: AuthorityFixture): Promise<Seat> {
  const seat = new Seat(await fixture.join());
  seat.snapshot = await seat.authority.open(seat);
  return seat;
}

/** So many new ports. */
export async function sitAll(fixture: AuthorityFixture, count: number): Promise<Seat[]> {
  const seats: Seat[] = [];
  while (seats.length < count) seats.push(await sit(fixture));
  return seats;
}

let numbers = 0;

/** A number that no one else in this process has. */
export function nextNumber(): number {
  return ++numbers;
}

/** A change of one record, as an operation of its own. */
export function change(
  key: string,
  expected: number,
  value: AuthorityRecord = record("any"),
): Change {
  return { key, expected, value, operation: `operation ${nextNumber()}` };
}

/** A small record, by its content. */
export function record(incarnation: string): AuthorityRecord {
  return { incarnation };
}

/** The revision of a change that must have been carried out. */
export function revisionOf(result: CasResult): number {
  ok(result.ok, `refused: ${JSON.stringify(result)}`);
  return result.revision;
}

/** Writes a last record and waits until all have heard it: by then they have heard all others. */
export async function settle(writer: Seat, seats: readonly Seat[]): Promise<void> {
  const key = `i.last-${nextNumber()}`;
  const entry = change(key, 0);
  revisionOf(await cas(writer.authority, entry));
  await waitUntil(
    `every port has heard of ${key}`,
    () => seats.every((seat) => seat.heardOf(key) !== undefined),
    { describe: () => seats.map(({ heard }) => heard.map((each) => each.key)) },
  );
}

/** Texts that break what is careless with text. */
export const HARD_TEXTS = [
  "",
  "a.b*c>d/e",
  "Zürich 東京 🛫",
  "\u0000\n\r\t\"'\\`${x}",
  "\u2028\u2029\ufeff\u200f",
  "lone \ud800 surrogate",
  "__proto__",
  "x".repeat(10_000),
];

/** A record with every kind of value, and `text` wherever text goes. */
export function session(text: string): AuthorityRecord {
  const load = {
    inFlight: 0,
    cpu: 0.1,
    memoryBytes: Number.MAX_SAFE_INTEGER,
    messagesPerSecond: 1e21,
    eventLoopLagMs: -1.5,
  };
  return {
    state: "left",
    heartbeat: 2 ** 40,
    node: text,
    address: text,
    group: null,
    weight: 0.1,
    leaseMs: 3_000,
    endpoint: text,
    runtime: text,
    load,
  };
}

/** Two new ports. */
export async function twoSeats(fixture: AuthorityFixture): Promise<[Seat, Seat]> {
  return [await sit(fixture), await sit(fixture)];
}

/** One compare-and-set. */
export async function cas(authority: Authority, wanted: Change): Promise<CasResult> {
  return (await authority.casMany([wanted]))[0]!;
}
