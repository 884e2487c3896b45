/**
 * Whether this node gets on with what it has: what waits and for how long, and how late its event
 * loop is. With a heartbeat's tick, once a second, it looks at what is oldest, and tells of what
 * should have ended long ago: once, until that has ended.
 */
import type { Clock } from "../base/clock.ts";
import { PROGRESS_MS, STUCK_MAX, STUCK_MS } from "../base/limits.ts";
import { type Wait, Waits } from "../base/waits.ts";
import type { ClusterEvents, Events } from "./events.ts";

/** What may wait. */
export type WaitKind = "message" | "turn" | "handoff" | "store";

/** Something that waits, the object itself being what it is known by. */
interface Aging {
  readonly sinceMs: number;
}

/** Things of one kind that wait. */
interface Source {
  readonly kind: WaitKind;
  /** The oldest first. */
  readonly waits: () => Iterable<Aging>;
  /** What has happened to it "for 31 s"; nothing for what another one of them stands for. */
  readonly what: (wait: never) => string | undefined;
}

type Overdue = ClusterEvents["stuck"] & { readonly wait: Aging };

/** See the file's header. One for each node. */
export class Progress {
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #sources: Source[] = [];
  readonly #told = new WeakSet<Aging>();
  #tickedMs = Number.POSITIVE_INFINITY;
  #sweptMs = Number.NEGATIVE_INFINITY;
  #everyMs = 0;
  #lagMs = 0;
  #lagBeforeMs = 0;

  constructor(clock: Clock, events: Events) {
    this.#clock = clock;
    this.#events = events;
  }

  /** The time by which it is measured for how long something waits. */
  get nowMs(): number {
    return this.#clock.nowMs();
  }

  /** How late the event loop was at worst, in the last second or two. */
  get lagMs(): number {
    return Math.max(this.#lagMs, this.#lagBeforeMs, this.#lateMs);
  }

  get #lateMs(): number {
    return this.nowMs - this.#tickedMs - this.#everyMs;
  }

  /** A list of things that wait. */
  list<S, W>(kind: WaitKind, what: (wait: Wait<S, W>) => string | undefined): Waits<S, W> {
    const waits = new Waits<S, W>();
    this.watch({ kind, waits: () => waits, what });
    return waits;
  }

  /** Looks at those as well. */
  watch(source: Source): void {
    this.#sources.push(source);
  }

  /** For how long what is oldest of a kind has waited; 0 when nothing waits. */
  oldestMs(wanted: WaitKind): number {
    const firsts = this.#sources.flatMap(({ kind, waits }) => {
      const [first] = kind === wanted ? waits() : [];
      return first === undefined ? [] : this.nowMs - first.sinceMs;
    });
    return Math.max(0, ...firsts);
  }

  /** Called every `everyMs`, as far as the event loop lets it. */
  tick(everyMs: number): void {
    const lateMs = this.#lateMs;
    this.#tickedMs = this.nowMs;
    this.#everyMs = everyMs;
    // Who was kept from its loop deals first with what came meanwhile.
    if (this.#tickedMs - this.#sweptMs >= PROGRESS_MS && lateMs < PROGRESS_MS) this.#sweep();
    this.#lagMs = Math.max(this.#lagMs, lateMs);
  }

  /** What should have ended long ago, the oldest first. */
  get overdue(): readonly Overdue[] {
    const found = this.#sources.flatMap((source) => overdueOf(source, this.nowMs));
    return found.sort((a, b) => b.sinceMs - a.sinceMs).slice(0, STUCK_MAX);
  }

  #sweep(): void {
    this.#sweptMs = this.#tickedMs;
    this.#lagBeforeMs = this.#lagMs;
    this.#lagMs = 0;
    for (const { wait, what, sinceMs } of this.overdue) {
      if (!this.#told.has(wait)) this.#events.emit("stuck", { what, sinceMs });
      this.#told.add(wait);
    }
  }
}

function overdueOf({ waits, what }: Source, nowMs: number): Overdue[] {
  const found: Overdue[] = [];
  for (const wait of waits()) {
    const sinceMs = nowMs - wait.sinceMs;
    if (sinceMs < STUCK_MS || found.length === STUCK_MAX) break;
    const text = what(wait as never);
    const forS = Math.floor(sinceMs / 1_000);
    if (text !== undefined) found.push({ wait, what: `${text} for ${forS} s`, sinceMs });
  }
  return found;
}
