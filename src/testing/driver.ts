/**
 * The driver of a simulated cluster: an authority and a network between all nodes, which lose,
 * double, delay and reorder as they are told.
 */
import type { AuthorityListener, Snapshot } from "../ports/authority.ts";
import type { Driver, Ports } from "../ports/driver.ts";
import type { LinkListener } from "../ports/link.ts";
import { type CasResult, type Change, type Entry, Ledger } from "../protocol/ledger.ts";
import { TrafficMeter } from "./traffic.ts";
import type { World } from "./world.ts";

/** What the network does to frames; chances from 0 to 1, delays in milliseconds. */
export interface Network {
  /** @default 0 */
  readonly drop?: number;
  /** @default 0 */
  readonly duplicate?: number;
  /** Shortest and longest. @default [0.1, 1] */
  readonly delay?: readonly [min: number, max: number];
}

/** How a node's name stands in cuts of the network: the authority is a place of its own. */
export const AUTHORITY = "authority";

const REPLY_TIMEOUT_MS = 150;

interface Seat {
  readonly name: string;
  readonly listener: AuthorityListener;
  /** News on their way: they arrive in their order, also at a node that wakes. */
  readonly news: (() => void)[];
  /** True when news were lost on the way. */
  missed: boolean;
}

/** See the file's header. */
export class Simulation implements Driver {
  readonly name = "simulation";
  /** What frames suffer. */
  network: Network = {};
  /** What requests to the authority, its answers and its news suffer. */
  authority: Network = {};
  /** Counts all of it. */
  readonly meter: TrafficMeter = new TrafficMeter();
  readonly #world: World;
  readonly #ledger = new Ledger();
  readonly #seats = new Map<string, Seat>();
  readonly #listeners = new Map<string, LinkListener>();
  readonly #cuts = new Set<string>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Cuts the way between two places, both directions, or opens it again. */
  cut(one: string, other: string, isCut: boolean): void {
    for (const pair of [`${one}|${other}`, `${other}|${one}`]) {
      if (isCut) this.#cuts.add(pair);
      else this.#cuts.delete(pair);
    }
    for (const seat of this.#seats.values()) {
      if (!isCut && seat.missed && !this.#isCut(seat.name, AUTHORITY)) this.#resync(seat);
    }
  }

  /** The record of `key`. */
  record(key: string): Entry | undefined {
    return this.#ledger.get(key);
  }

  async connect({ incarnation }: { readonly incarnation: string }): Promise<Ports> {
    const name = nodeOf(incarnation);
    const world = this.#world;
    let isClosed = false;
    return {
      authority: {
        open: (listener) =>
          new Promise((resolve) => {
            world.schedule(name, this.#delay(this.authority), () => {
              this.#seats.set(incarnation, { name, listener, news: [], missed: false });
              resolve(this.#snapshot());
            });
          }),
        casMany: (changes) => this.#request(name, changes),
        close: async () => void this.#seats.delete(incarnation),
      },
      link: {
        open: async (_, listener) => {
          this.#listeners.set(incarnation, listener);
          return incarnation;
        },
        send: (to, frame) => {
          if (!isClosed) this.#send(incarnation, to.incarnation, frame);
        },
        forget() {},
        close: async () => {
          isClosed = true;
          this.#listeners.delete(incarnation);
        },
      },
    };
  }

  #send(from: string, to: string, frame: Uint8Array): void {
    const [here, there] = [nodeOf(from), nodeOf(to)];
    this.meter.sent(frame);
    if (this.#isCut(here, there)) return;
    for (let copies = this.#copies(this.network); copies > 0; copies--) {
      const bytes = frame.slice();
      const delayMs = this.#world.aheadMs(here) + this.#delay(this.network);
      this.#world.carry({ to: there, kind: "frame", delayMs }, () => {
        this.#listeners.get(to)?.received(from, bytes);
      });
    }
  }

  #request(name: string, changes: readonly Change[]): Promise<CasResult[]> {
    const world = this.#world;
    const aheadMs = world.aheadMs(name);
    this.meter.asked(changes);
    return new Promise((resolve, reject) => {
      const lost = new Error("Cannot tell what became of it: the authority did not answer");
      world.schedule(name, aheadMs + REPLY_TIMEOUT_MS, () => reject(lost));
      if (this.#isCut(name, AUTHORITY)) return;
      for (let copies = this.#copies(this.authority); copies > 0; copies--) {
        const delayMs = aheadMs + this.#delay(this.authority);
        world.carry({ to: AUTHORITY, kind: "request", delayMs }, () => {
          const { results, changed } = this.#ledger.casMany(changes);
          this.#announce(changed);
          if (this.#isCut(name, AUTHORITY) || this.#copies(this.authority) === 0) return;
          const delayMs = this.#delay(this.authority);
          world.carry({ to: name, kind: "answer", delayMs }, () => resolve(results));
        });
      }
    });
  }

  #announce(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    for (const seat of this.#seats.values()) {
      if (this.#isCut(seat.name, AUTHORITY)) seat.missed = true;
      else this.#tell(seat, () => this.#hear(seat, entries));
    }
  }

  #hear({ listener }: Seat, entries: readonly Entry[]): void {
    this.meter.heard(entries);
    listener.changed(entries);
  }

  #resync(seat: Seat): void {
    seat.missed = false;
    const snapshot = this.#snapshot();
    this.#tell(seat, () => seat.listener.resynced(snapshot));
  }

  #tell(seat: Seat, run: () => void): void {
    seat.news.push(run);
    const delayMs = this.#delay(this.authority);
    this.#world.carry({ to: seat.name, kind: "news", delayMs }, () => seat.news.shift()?.());
  }

  #snapshot(): Snapshot {
    const { revision } = this.#ledger;
    const entries = this.#ledger.entries();
    this.meter.given(entries);
    return { generation: 1, revision, entries };
  }

  #isCut(one: string, other: string): boolean {
    return this.#cuts.has(`${one}|${other}`);
  }

  #copies({ drop = 0, duplicate = 0 }: Network): number {
    if (this.#world.fraction() < drop) return 0;
    return this.#world.fraction() < duplicate ? 2 : 1;
  }

  #delay({ delay = [0.1, 1] }: Network): number {
    return delay[0] + this.#world.fraction() * (delay[1] - delay[0]);
  }
}

function nodeOf(incarnation: string): string {
  return incarnation.slice(0, incarnation.lastIndexOf("."));
}
