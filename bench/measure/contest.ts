/**
 * Measures a subject against its floor: in the same process, in turns (A B A B …), after both have
 * been warmed up in turns too. Machines drift by a third within minutes; neighbouring rounds drift
 * together, so the ratio is the median of the ratios of each pair.
 *
 * Both run the same number of operations in flight. Every round has a fixed number of operations,
 * which the warm-up has set so that the round takes the time it should. Garbage is not collected by
 * force between rounds: V8 then throws away optimised code whose hidden classes had no live object
 * at that moment, and the larger side would spend its rounds being compiled again.
 */
import type { Effort } from "./effort.ts";
import { median, percentile } from "./statistics.ts";

/** Something that can be done `count` times; resolves when everything it caused is over. */
export type Load = (count: number, latenciesMs: number[]) => Promise<void>;

/** See the file's header. */
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
export async function contest(
  { subject, floor }: Contest,
  { rounds, warmUpMs, roundMs }: Effort,
): Promise<Outcome> {
  const sides = [new Contestant(subject), new Contestant(floor)] as const;
  const untilMs = performance.now() + 2 * warmUpMs;
  while (performance.now() < untilMs) {
    for (const side of sides) await side.warmUp(roundMs);
  }
  for (let round = 0; round < rounds; round++) {
    for (const side of sides) await side.measure();
  }
  const [a, b] = sides;
  const pairwise = (figure: (round: Round) => number): number =>
    median(a.rounds.map((round, i) => figure(round) / figure(b.rounds[i]!)));
  return {
    subject: a.sum(),
    floor: b.sum(),
    n: a.count * rounds,
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

class Contestant {
  /** Operations of one round. */
  count = FIRST_COUNT;
  readonly rounds: Round[] = [];
  readonly #load: Load;

  constructor(load: Load) {
    this.#load = load;
  }

  async warmUp(roundMs: number): Promise<void> {
    const { opsPerSecond } = await this.#run();
    const fitting = Math.ceil((opsPerSecond * roundMs) / 1_000);
    // It gets faster while it warms up: no leap, lest one slow start decides.
    this.count = Math.max(FIRST_COUNT, Math.min(fitting, this.count * 4));
  }

  async measure(): Promise<void> {
    this.rounds.push(await this.#run());
  }

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
