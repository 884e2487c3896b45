/**
 * What happens to the cluster while the flights come in: a node joins, one leaves, one is killed.
 *
 * The flights go on in small slices all the while. Joining and leaving lose nothing. The kill takes
 * the memory of a node with it: its airports, and whatever it was sending, get their flights once
 * more in the end.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Fleet } from "./fleet.ts";
import type { Ready } from "./lines.ts";

/** What came of the changes. */
export interface Changes {
  /** Airports that died with the killed node, and how many messages had to be sent again. */
  readonly died: readonly string[];
  readonly sentAgain: number;
}

/** Who tells of a change, with the time it took until all nodes agreed on the owners. */
export type Tell = (what: string, tookMs: number, moved: number) => void;

const SLICE_FLIGHTS = 100;
const PAUSE_MS = 10;
/** Flights between two changes at least. */
const APART_FLIGHTS = 1_500;

/** See the file's header. Replays the flights `from` to before `to`. */
export class Story {
  readonly #fleet: Fleet;
  readonly #airports: readonly string[];
  readonly #to: number;
  readonly #tell: Tell;
  #next: number;

  constructor(
    fleet: Fleet,
    airports: readonly string[],
    { from, to, tell }: { readonly from: number; readonly to: number; readonly tell: Tell },
  ) {
    this.#fleet = fleet;
    this.#airports = airports;
    this.#next = from;
    this.#to = to;
    this.#tell = tell;
  }

  /** Resolves when all flights were sent, and sent again where that was needed. */
  async run(joined: (ready: Ready) => void): Promise<Changes> {
    const newcomer = `node-${this.#fleet.serving.length + 1}`;
    await this.#during(`${newcomer} joins`, async () => joined(await this.#fleet.join()));
    await this.#slices(APART_FLIGHTS);
    const leaver = this.#fleet.node("node-2");
    if (leaver !== undefined && this.#fleet.serving.length > 2) {
      await this.#during(`${leaver.name} leaves`, () => leaver.stop());
      await this.#slices(APART_FLIGHTS);
    }
    const victim = this.#fleet.node("node-3");
    if (victim === undefined) {
      await this.#slices(this.#to);
      return { died: [], sentAgain: 0 };
    }
    const owners = await this.#fleet.owners(this.#airports);
    const died = this.#airports.filter((_, at) => owners[at] === victim.name);
    const killedAt = this.#next;
    await this.#during(`${victim.name} is killed`, async () => victim.kill());
    await this.#slices(this.#to);
    return { died, sentAgain: await this.#repair(died, killedAt) };
  }

  /** Sends slices until `change` is through and all nodes agree on the owners. */
  async #during(what: string, change: () => Promise<unknown>): Promise<void> {
    const before = await this.#fleet.owners(this.#airports);
    const startMs = performance.now();
    const progress = { isDone: false };
    const changing = this.#slice().then(() => {}); // The change begins in the middle of a slice.
    const changed = change()
      .then(() => this.#fleet.settle(this.#airports))
      .finally(() => (progress.isDone = true));
    await changing;
    while (!progress.isDone && this.#next < this.#to) await this.#slice();
    const { owners } = await changed;
    const moved = owners.filter((owner, at) => owner !== before[at]).length;
    this.#tell(what, performance.now() - startMs, moved);
  }

  async #slices(flights: number): Promise<void> {
    const to = Math.min(this.#to, this.#next + flights);
    while (this.#next < to) await this.#slice();
  }

  async #slice(): Promise<void> {
    const from = this.#next;
    this.#next = Math.min(this.#to, from + SLICE_FLIGHTS);
    await this.#fleet.replay({ from, to: this.#next, airports: null, again: false });
    await delay(PAUSE_MS);
  }

  /** The airports that died get all their flights; all others what was under way at the kill. */
  async #repair(died: readonly string[], killedAt: number): Promise<number> {
    const { answered } = await this.#fleet.replay(NOTHING);
    await this.#fleet.replay({ from: 0, to: this.#to, airports: died, again: true });
    const all = { from: killedAt, to: this.#to, airports: null, again: true };
    return (await this.#fleet.replay(all)).answered - answered;
  }
}

const NOTHING = { from: 0, to: 0, airports: null, again: true } as const;
