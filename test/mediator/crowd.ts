/**
 * Many callers and nodes of unlike speed, as a discrete-event simulation: no clock, all chance from
 * a seed. A node works on one call after the other. What it says of itself reaches the callers with
 * its heartbeats, so it is old; what a caller has open, and how long answers took, it knows itself.
 */
import { InFlight } from "../../src/base/in-flight.ts";
import type { Random } from "../../src/base/random.ts";
import {
  type Candidate,
  type Picker,
  smoothedAnswerMs,
  smoothedFigures,
} from "../../src/mediator/balance.ts";
import type { LoadFigures } from "../../src/protocol/records.ts";
import { World } from "../../src/testing/world.ts";

/** What is played. */
export interface Crowd {
  /** For each node how long a call takes there, the mean of an exponential distribution. */
  readonly serviceMs: readonly number[];
  readonly callers: number;
  /** What comes in, at random times, by what all nodes together can do: 0 to 1. */
  readonly load: number;
  readonly calls: number;
  readonly heartbeatMs: number;
  readonly seed: number;
}

/** What came of it. */
export interface Played {
  /** Of each call, sorted. */
  readonly answersMs: Float64Array;
  /** Calls that each node got. */
  readonly counts: readonly number[];
}

const HOP_MS = 0.5;
const MEGABYTE = 1_048_576;

/** So many nodes: seven in ten are quick, two take twice as long, and one takes five times. */
export function skewed(nodes: number): number[] {
  const tookMs = [5, 5, 5, 10, 5, 5, 5, 10, 5, 25];
  return Array.from({ length: nodes }, (_, n) => tookMs[n % tookMs.length]!);
}

/** The answer time that the share `part` (0 to 1) of all calls does not exceed, in ms. */
export function quantile({ answersMs }: Played, part: number): number {
  return answersMs[Math.max(0, Math.ceil(answersMs.length * part) - 1)]!;
}

/** What balancers do that take the one with the least load, by all that a caller knows. */
export function leastOfAll(): Picker {
  return {
    pick: (candidates) =>
      candidates.reduce((least, each) => (loadOf(each) < loadOf(least) ? each : least)),
  };
}

function loadOf({ open, figures }: Candidate): number {
  return open + figures.inFlight + figures.cpu + figures.eventLoopLagMs / 10;
}

/** Plays `crowd`, each of whose callers has a picker of its own. */
export function play(crowd: Crowd, pickerOf: (random: Random) => Picker): Played {
  const { serviceMs, callers, calls, load, heartbeatMs, seed } = crowd;
  const callsPerMs = load * serviceMs.reduce((sum, ms) => sum + 1 / ms, 0);
  const world = new World(seed);
  const agenda = new Agenda();
  const nodes = serviceMs.map((meanMs, n) => new Server(`node-${n}`, meanMs, heartbeatMs));
  const crews = Array.from({ length: callers }, () => ({
    picker: pickerOf(world),
    candidates: nodes.map((node) => new Seen(node)),
  }));
  const answersMs = new Float64Array(calls);

  const call = (n: number): void => {
    const beganMs = agenda.nowMs;
    const { picker, candidates } = crews[Math.floor(world.fraction() * callers)]!;
    const seen = picker.pick(candidates);
    seen.open++;
    agenda.after(HOP_MS, () => {
      agenda.at(seen.server.accept(agenda.nowMs, world), () => {
        seen.server.finish();
        agenda.after(HOP_MS, () => {
          const tookMs = agenda.nowMs - beganMs;
          answersMs[n] = tookMs;
          seen.answered(tookMs);
        });
      });
    });
    if (n + 1 < calls) agenda.after(exponential(1 / callsPerMs, world), () => call(n + 1));
  };
  const beat = (node: Server): void => {
    node.report(agenda.nowMs);
    if (agenda.size > nodes.length) agenda.after(heartbeatMs, () => beat(node));
  };

  for (const node of nodes) agenda.after(world.fraction() * heartbeatMs, () => beat(node));
  agenda.after(0, () => call(0));
  agenda.run();
  return { answersMs: answersMs.sort(), counts: nodes.map(({ count }) => count) };
}

function exponential(mean: number, random: Random): number {
  return -Math.log(1 - random.fraction()) * mean;
}

/** A node that handles one call after the other. */
class Server {
  readonly name: string;
  count = 0;
  /** As of its last heartbeat. */
  figures: LoadFigures = {
    inFlight: 0,
    cpu: 0,
    memoryBytes: 80 * MEGABYTE,
    messagesPerSecond: 0,
    eventLoopLagMs: 0,
  };
  readonly #meanMs: number;
  readonly #heartbeatMs: number;
  readonly #inFlight = new InFlight();
  #busyUntilMs = 0;
  #finished = 0;
  #workMs = 0;

  constructor(name: string, meanMs: number, heartbeatMs: number) {
    this.name = name;
    this.#meanMs = meanMs;
    this.#heartbeatMs = heartbeatMs;
  }

  /** When it will be finished. */
  accept(nowMs: number, random: Random): number {
    const tookMs = exponential(this.#meanMs, random);
    this.count++;
    this.#inFlight.begin();
    this.#workMs += tookMs;
    this.#busyUntilMs = Math.max(nowMs, this.#busyUntilMs) + tookMs;
    return this.#busyUntilMs;
  }

  finish(): void {
    this.#inFlight.end();
    this.#finished++;
  }

  report(nowMs: number): void {
    const aheadMs = Math.max(0, this.#busyUntilMs - nowMs);
    const doneMs = this.#workMs - aheadMs;
    this.figures = smoothedFigures(this.figures, {
      inFlight: this.#inFlight.takeMean(),
      cpu: doneMs / this.#heartbeatMs,
      memoryBytes: (80 + this.#inFlight.count / 10) * MEGABYTE,
      messagesPerSecond: (this.#finished * 1_000) / this.#heartbeatMs,
      eventLoopLagMs: Math.min(aheadMs, this.#meanMs),
    });
    this.#workMs = aheadMs;
    this.#finished = 0;
  }
}

/** A node as one caller sees it. */
class Seen implements Candidate {
  readonly server: Server;
  readonly node: string;
  readonly weight = 1;
  open = 0;
  answerMs = 0;

  constructor(server: Server) {
    this.server = server;
    this.node = server.name;
  }

  get figures(): LoadFigures {
    return this.server.figures;
  }

  answered(ms: number): void {
    this.open--;
    this.answerMs = smoothedAnswerMs(this.answerMs, ms);
  }
}

interface Entry {
  readonly atMs: number;
  readonly run: () => void;
}

/** What will happen, the earliest first, as a binary heap. */
class Agenda {
  nowMs = 0;
  readonly #heap: Entry[] = [];

  get size(): number {
    return this.#heap.length;
  }

  after(ms: number, run: () => void): void {
    this.at(this.nowMs + ms, run);
  }

  at(atMs: number, run: () => void): void {
    const heap = this.#heap;
    let index = heap.length;
    while (index > 0) {
      const above = (index - 1) >> 1;
      if (heap[above]!.atMs <= atMs) break;
      heap[index] = heap[above]!;
      index = above;
    }
    heap[index] = { atMs, run };
  }

  run(): void {
    for (let entry = this.#take(); entry !== undefined; entry = this.#take()) {
      this.nowMs = entry.atMs;
      entry.run();
    }
  }

  #take(): Entry | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let below = 2 * index + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && heap[below + 1]!.atMs < heap[below]!.atMs) below++;
      if (heap[below]!.atMs >= last.atMs) break;
      heap[index] = heap[below]!;
      index = below;
    }
    heap[index] = last;
    return first;
  }
}
