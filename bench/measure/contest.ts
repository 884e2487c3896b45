/**
 * Measures sides against each other: in the same process, in turns (A B C A B C …), after all have
 * been warmed up in turns too. Machines drift by a third within minutes; neighbouring rounds drift
 * together, so a ratio is the median of the ratios of each pair.
 *
 * All run the same number of operations in flight. Every round has a fixed number of operations,
 * which the warm-up has set so that the round takes the time it should. Garbage is not collected by
 * force between rounds: V8 then throws away optimised code whose hidden classes had no live object
 * at that moment, and the larger side would spend its rounds being compiled again.
 */
import type { Effort } from "./effort.ts";
import { median, percentile } from "./statistics.ts";

/** Something that can be done `count` times; resolves when everything it caused is over. */
export type Load = (count: number, latenciesMs: number[]) => Promise<void>;

/** A subject and the least that could do its job. */
export interface Contest {
  readonly subject: Load;
  readonly floor: Load;
}

/** One side over all rounds. */
export interface Side {
  readonly opsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

/** What came of a {@link Contest}. */
export interface Outcome {
  readonly subject: Side;
  readonly floor: Side;
  /** Operations of the subject that were measured. */
  readonly n: number;
  /** Subject by floor, the medians of all pairs. */
  readonly ratio: number;
  readonly ratioP50: number;
  readonly ratioP99: number;
}

/** Runs the contest. */
export async function contest({ subject, floor }: Contest, effort: Effort): Promise<Outcome> {
  const [a, b] = await compete([subject, floor], effort);
  return outcomeOf(a!, b!);
}

/** Runs any number of sides in turns; each may then be set against any other. */
export async function compete(
  loads: readonly Load[],
  { rounds, warmUpMs, roundMs }: Effort,
): Promise<Contestant[]> {
  const sides = loads.map((load) => new Contestant(load));
  const untilMs = performance.now() + sides.length * warmUpMs;
  while (performance.now() < untilMs) {
    for (const side of sides) await side.warmUp(roundMs);
  }
  for (let round = 0; round < rounds; round++) {
    for (const side of sides) await side.measure();
  }
  return sides;
}

/** Sets one side against another one of the same rounds. */
export function outcomeOf(subject: Contestant, floor: Contestant): Outcome {
  const pairwise = (figure: (round: Round) => number): number =>
    median(subject.rounds.map((round, i) => figure(round) / figure(floor.rounds[i]!)));
  return {
    subject: subject.sum(),
    floor: floor.sum(),
    n: subject.count * subject.rounds.length,
    ratio: pairwise((round) => round.opsPerSecond),
    ratioP50: pairwise((round) => percentile(round.latenciesMs, 0.5)),
    ratioP99: pairwise((round) => percentile(round.latenciesMs, 0.99)),
  };
}

interface Round {
  readonly opsPerSecond: number;
  readonly latenciesMs: readonly number[];
}

const FIRST_COUNT = 512;

/** One side while it runs, and what its rounds were. */
export class Contestant {
  /** Operations of one round. */
  count: number = FIRST_COUNT;
  readonly rounds: Round[] = [];
  readonly #load: Load;

  constructor(load: Load) {
    this.#load = load;
  }

  /** One round that does not count. */
  async warmUp(roundMs: number): Promise<void> {
    const { opsPerSecond } = await this.#run();
    const fitting = Math.ceil((opsPerSecond * roundMs) / 1_000);
    // It gets faster while it warms up: no leap, lest one slow start decides.
    this.count = Math.max(FIRST_COUNT, Math.min(fitting, this.count * 4));
  }

  /** One round that counts. */
  async measure(): Promise<void> {
    this.rounds.push(await this.#run());
  }

  /** All rounds that count. */
  sum(): Side {
    const latenciesMs = this.rounds.flatMap((round) => round.latenciesMs);
    return {
      opsPerSecond: median(this.rounds.map((round) => round.opsPerSecond)),
      p50Us: percentile(latenciesMs, 0.5) * 1_000,
      p99Us: percentile(latenciesMs, 0.99) * 1_000,
    };
  }

  async #run(): Promise<Round> {
    const latenciesMs: number[] = [];
    const beganMs = performance.now();
    await this.#load(this.count, latenciesMs);
    const tookMs = performance.now() - beganMs;
    return { opsPerSecond: (this.count / tookMs) * 1_000, latenciesMs };
  }
}
