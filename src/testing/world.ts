/**
 * Time and chance of a simulated cluster: one queue of events for all nodes, in which every tie and
 * every delay is decided by a seed. The same seed is the same run.
 *
 * A node's events stop while it is paused and come in a random order when it wakes, as those of a
 * stopped process do; a killed node's events never come. Each node has a clock of its own, whose
 * rate may be off and whose wall time may jump.
 */
import { setImmediate } from "node:timers";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";

/** How a node's clock differs from true time. */
export interface ClockSkew {
  /** Its milliseconds in one of true time. @default 1 */
  readonly rate?: number;
  readonly offsetMs?: number;
}

/** What the network does to frames; chances from 0 to 1, delays in milliseconds. */
export interface Network {
  /** @default 0 */
  readonly drop?: number;
  /** @default 0 */
  readonly duplicate?: number;
  /** Shortest and longest. @default [0.1, 1] */
  readonly delay?: readonly [min: number, max: number];
}

/** What travels between nodes and the authority, or happens by itself at one of them. */
export type EventKind = "frame" | "request" | "answer" | "news" | "timer";

/** Something that is going to happen. */
export interface Event {
  atMs: number;
  tie: number;
  /** Where it happens. */
  readonly owner: string;
  readonly kind: EventKind;
  /** `undefined` when it was cancelled. */
  run: (() => void) | undefined;
}

/** Something on its way. */
export interface Parcel {
  readonly to: string;
  readonly kind: EventKind;
  readonly delayMs: number;
}

type Health = "runs" | "paused" | "dead";

const WALL_MS = 1_700_000_000_000;
const ALPHABET = "0123456789abcdefghijklmnopqrstuv";

/** See the file's header. */
export class World implements Random {
  /** True time. */
  nowMs = 0;
  /** Events that have run. */
  steps = 0;
  #state: number;
  /** Below every tie that is drawn. */
  #earlyTie: number = Number.MIN_SAFE_INTEGER;
  /** Sorted, the next one last. */
  #events: Event[] = [];
  readonly #health = new Map<string, Health>();
  readonly #held = new Map<string, Event[]>();
  readonly #jumpMs = new Map<string, number>();
  /** True time at which a node gives its event loop back. */
  readonly #busyUntilMs = new Map<string, number>();

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** Source: mulberry32, Tommy Ettinger. */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  text(length: number): string {
    return Array.from({ length }, () => ALPHABET[Math.floor(this.fraction() * 32)]).join("");
  }

  /** Whether `node` runs, is paused or dead. */
  healthOf(node: string): Health {
    return this.#health.get(node) ?? "runs";
  }

  /** Calls `run` for `owner` after `delayMs` of true time; the result cancels it. */
  schedule(owner: string, delayMs: number, run: () => void): () => void {
    return this.carry({ to: owner, kind: "timer", delayMs }, run);
  }

  /** Like {@link schedule}, for what travels. */
  carry({ to: owner, kind, delayMs }: Parcel, run: () => void): () => void {
    const atMs = this.nowMs + Math.max(0, delayMs);
    const event: Event = { atMs, tie: this.fraction(), owner, kind, run };
    this.add(event);
    return () => {
      event.run = undefined;
    };
  }

  /** How often something arrives. */
  copies({ drop = 0, duplicate = 0 }: Network): number {
    if (this.fraction() < drop) return 0;
    return this.fraction() < duplicate ? 2 : 1;
  }

  /** How long it takes. */
  delay({ delay: [min, max] = [0.1, 1] }: Network): number {
    return min + this.fraction() * (max - min);
  }

  /** The clock of `node`. */
  clockOf(node: string, { rate = 1, offsetMs = 0 }: ClockSkew = {}): Clock {
    const nowMs = (): number => offsetMs + this.#timeAt(node) * rate;
    const after = (delayMs: number, run: () => void): (() => void) =>
      this.schedule(node, this.#timeAt(node) - this.nowMs + Math.max(0, delayMs) / rate, run);
    return {
      nowMs,
      wallMs: () => WALL_MS + nowMs() + (this.#jumpMs.get(node) ?? 0),
      after,
      yield: (run) => void after(0, run),
    };
  }

  /** Sets the wall clock of `node` forward or back. */
  jumpWall(node: string, ms: number): void {
    this.#jumpMs.set(node, (this.#jumpMs.get(node) ?? 0) + ms);
  }

  /** Lets `node` compute for `ms`: its clock moves on, and what becomes due there waits. */
  block(node: string, ms: number): void {
    this.#busyUntilMs.set(node, this.#timeAt(node) + ms);
  }

  /** How far `node` is ahead of true time, in what it has computed already. */
  aheadMs(node: string): number {
    return this.#timeAt(node) - this.nowMs;
  }

  /** Stops `node` where it is. */
  pause(node: string): void {
    if (this.healthOf(node) === "runs") this.#health.set(node, "paused");
  }

  /** Lets `node` go on: what became due meanwhile comes in any order. */
  resume(node: string): void {
    if (this.healthOf(node) !== "paused") return;
    this.#health.set(node, "runs");
    for (const event of this.#held.get(node) ?? []) {
      event.atMs = this.nowMs;
      event.tie = this.fraction();
      this.add(event);
    }
    this.#held.delete(node);
  }

  /** Ends `node` without a word. */
  kill(node: string): void {
    this.#health.set(node, "dead");
    this.#held.delete(node);
  }

  /** Runs everything that is due within `ms`, and what that makes due. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    await settled();
    for (;;) {
      const event = this.next(this.#events);
      if (event === undefined || event.atMs > untilMs) break;
      await this.#step(event);
    }
    this.nowMs = untilMs;
  }

  /** Runs until `promise` has settled; fails when it has not within `limitMs` of true time. */
  async until<T>(promise: Promise<T>, limitMs: number): Promise<T> {
    const progress = { isSettled: false };
    const done = (): void => void (progress.isSettled = true);
    promise.then(done, done);
    const untilMs = this.nowMs + limitMs;
    await settled();
    while (!progress.isSettled) {
      const next = this.next(this.#events);
      if (next === undefined || next.atMs > untilMs) {
        throw new Error(`Cannot go on: nothing settled within ${limitMs} ms of simulated time`);
      }
      await this.#step(next);
    }
    return promise;
  }

  /**
   * Which of all events comes next: the first one; they are sorted, the first one last. A world
   * that tries every order decides otherwise, also for an event that is not among them.
   */
  protected next(events: readonly Event[]): Event | undefined {
    return events.at(-1);
  }

  async #step(event: Event): Promise<void> {
    const at = this.#events.lastIndexOf(event);
    if (at >= 0) this.#events.splice(at, 1);
    this.nowMs = Math.max(this.nowMs, event.atMs);
    const health = this.healthOf(event.owner);
    if (event.run === undefined || health === "dead") return;
    if (health === "paused") {
      this.#held.set(event.owner, [...(this.#held.get(event.owner) ?? []), event]);
      return;
    }
    const freeMs = this.#timeAt(event.owner);
    if (freeMs > this.nowMs) {
      // What became due while a node computed comes in its order, and before what it puts off now.
      event.atMs = freeMs;
      event.tie = this.#earlyTie++;
      return this.add(event);
    }
    this.steps++;
    event.run();
    await settled();
  }

  #timeAt(node: string): number {
    return Math.max(this.nowMs, this.#busyUntilMs.get(node) ?? 0);
  }

  /** Puts `event` in its place. */
  protected add(event: Event): void {
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#events[middle]!;
      if (other.atMs > event.atMs || (other.atMs === event.atMs && other.tie > event.tie)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    this.#events.splice(low, 0, event);
  }
}

/** Every promise that is ready has had its turn. */
function settled(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
