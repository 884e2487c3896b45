/**
 * The driver of a simulated cluster: an authority and a network between all nodes, which lose,
 * double, delay and reorder as they are told.
 */
import type { AuthorityListener, Snapshot } from "../ports/authority.ts";
import type { Driver, Ports } from "../ports/driver.ts";
import type { LinkListener } from "../ports/link.ts";
import { FRAME_BYTES_MAX, silenceMsMax } from "../base/limits.ts";
import { type CasResult, type Change, type Entry, Ledger } from "../protocol/ledger.ts";
import { TrafficMeter } from "./traffic.ts";
import type { SessionRecord } from "../protocol/records.ts";
import { SimulatedStore, STORE } from "./store.ts";
import type { Network, World } from "./world.ts";

/** How a node's name stands in cuts of the network: the authority is a place of its own. */
export const AUTHORITY = "authority";

const REPLY_TIMEOUT_MS = 150;

/** All records of the authority as they stood at some time. */
export type Backup = readonly Entry[];

interface Seat {
  readonly name: string;
  /** The generation this node believes in, which its requests carry. */
  generation: number;
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
  /** What is kept outlives every node, and what the authority forgets. */
  readonly store: SimulatedStore;
  readonly #world: World;
  #ledger = new Ledger();
  #generation = 1;
  /** Until then it answers nobody: whoever has a lease of its former life may still act. */
  #closedUntilMs = 0;
  readonly #seats = new Map<string, Seat>();
  readonly #listeners = new Map<string, LinkListener>();
  readonly #cuts = new Set<string>();

  constructor(world: World) {
    this.#world = world;
    this.store = new SimulatedStore(world, (node) => this.#isCut(node, STORE));
  }

  /** Cuts the way between two places, both directions. */
  cut(one: string, other: string): void {
    this.#cuts.add(`${one}|${other}`).add(`${other}|${one}`);
  }

  /** Opens everything that was cut. */
  heal(): void {
    this.#cuts.clear();
    for (const seat of this.#seats.values()) if (seat.missed) this.#resync(seat);
  }

  /** The record of `key`. */
  record(key: string): Entry | undefined {
    return this.#ledger.get(key);
  }

  /** The records as they stand. */
  backup(): Backup {
    return this.#ledger.entries();
  }

  /**
   * What was acknowledged since `backup` is lost, and the revisions since then are given again: the
   * authority comes back as another generation, and not before every lease of the last one is over.
   * Its nodes hear of it at any time from now until then.
   */
  restore(backup: Backup): void {
    const sessions = this.#ledger.entries().filter(({ key }) => key.startsWith("n."));
    const leasesMs = sessions.map(({ value }) => (value as SessionRecord).leaseMs);
    const quarantineMs = silenceMsMax(Math.max(0, ...leasesMs));
    this.#ledger = new Ledger();
    this.#ledger.merge(backup);
    this.#generation++;
    this.#closedUntilMs = this.#world.nowMs + quarantineMs;
    for (const seat of this.#seats.values()) {
      if (this.#isCut(seat.name, AUTHORITY)) seat.missed = true;
      else this.#resync(seat, this.#world.fraction() * quarantineMs);
    }
  }

  async connect({ incarnation }: { readonly incarnation: string }): Promise<Ports> {
    const name = nodeOf(incarnation);
    const world = this.#world;
    let isClosed = false;
    return {
      authority: {
        open: (listener) =>
          new Promise((resolve) => {
            world.schedule(name, this.#world.delay(this.authority), () => {
              this.#whenOpen(name, () => {
                const generation = this.#generation;
                const seat = { name, generation, listener, news: [], missed: false };
                this.#seats.set(incarnation, seat);
                resolve(this.#snapshot());
              });
            });
          }),
        casMany: (changes) => this.#request(this.#seats.get(incarnation), name, changes),
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
      store: this.store.connect(name),
    };
  }

  #send(from: string, to: string, frame: Uint8Array): void {
    const [here, there] = [nodeOf(from), nodeOf(to)];
    this.meter.sent(frame);
    if (this.#isCut(here, there) || frame.length > FRAME_BYTES_MAX) return;
    for (let copies = this.#world.copies(this.network); copies > 0; copies--) {
      const bytes = frame.slice();
      const delayMs = this.#world.aheadMs(here) + this.#world.delay(this.network);
      this.#world.carry({ to: there, kind: "frame", delayMs }, () => {
        this.#listeners.get(to)?.received(from, bytes);
      });
    }
  }

  /** Calls `run` for `name` now, or when the authority answers again. */
  #whenOpen(name: string, run: () => void): void {
    const closedMs = this.#closedUntilMs - this.#world.nowMs;
    if (closedMs <= 0) return run();
    this.#world.schedule(name, closedMs, () => this.#whenOpen(name, run));
  }

  #request(seat: Seat | undefined, name: string, changes: readonly Change[]): Promise<CasResult[]> {
    const world = this.#world;
    const aheadMs = world.aheadMs(name);
    const generation = seat?.generation;
    this.meter.asked(changes);
    return new Promise((resolve, reject) => {
      const lost = new Error("Cannot tell what became of it: the authority did not answer");
      world.schedule(name, aheadMs + REPLY_TIMEOUT_MS, () => reject(lost));
      if (this.#isCut(name, AUTHORITY)) return;
      for (let copies = this.#world.copies(this.authority); copies > 0; copies--) {
        const delayMs = aheadMs + this.#world.delay(this.authority);
        world.carry({ to: AUTHORITY, kind: "request", delayMs }, () => {
          if (generation !== this.#generation || world.nowMs < this.#closedUntilMs) return;
          const { results, changed } = this.#ledger.casMany(changes);
          this.#announce(changed);
          if (this.#isCut(name, AUTHORITY) || this.#world.copies(this.authority) === 0) return;
          const delayMs = this.#world.delay(this.authority);
          world.carry({ to: name, kind: "answer", delayMs }, () => resolve(results));
        });
      }
    });
  }

  #announce(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    for (const seat of this.#seats.values()) {
      // Who has not heard of this generation hears of that first.
      if (seat.generation !== this.#generation) continue;
      if (this.#isCut(seat.name, AUTHORITY)) seat.missed = true;
      else this.#tell(seat, () => this.#hear(seat, entries));
    }
  }

  #hear({ listener }: Seat, entries: readonly Entry[]): void {
    this.meter.heard(entries);
    listener.changed(entries);
  }

  #resync(seat: Seat, delayMs?: number): void {
    seat.missed = false;
    const sent = this.#snapshot();
    const resync = (): void => {
      const snapshot = seat.generation === this.#generation ? sent : this.#snapshot();
      seat.generation = snapshot.generation;
      seat.listener.resynced(snapshot);
    };
    this.#tell(seat, resync, delayMs);
  }

  #tell(seat: Seat, run: () => void, delayMs = this.#world.delay(this.authority)): void {
    seat.news.push(run);
    this.#world.carry({ to: seat.name, kind: "news", delayMs }, () => seat.news.shift()?.());
  }

  #snapshot(): Snapshot {
    const { revision } = this.#ledger;
    const entries = this.#ledger.entries();
    this.meter.given(entries);
    return { generation: this.#generation, revision, entries };
  }

  #isCut(one: string, other: string): boolean {
    return this.#cuts.has(`${one}|${other}`);
  }
}

function nodeOf(incarnation: string): string {
  return incarnation.slice(0, incarnation.lastIndexOf("."));
}
