/**
 * Which of the nodes that handle a message gets it.
 *
 * Round robin is stride scheduling (Waldspurger and Weihl, "Stride Scheduling", 1995): a place is
 * due again one stride after it had its turn, a stride is one by the weight, and so every node
 * keeps its place in the rotation whoever else comes or goes. What nodes report of themselves is
 * old by a heartbeat, and everybody reads the same: if all took the best, all would take the same
 * one, and the next one a heartbeat later. So two are drawn by weight, and the better one is likely
 * to be taken, the likelier the better it is (Mitzenmacher, "The Power of Two Choices in Randomized
 * Load Balancing", 2001; Dahlin, "Interpreting Stale Load Information", 2000). If it always were,
 * nodes that are alike would be worse off than by lot. Nobody is written off: some calls go to the
 * worse one however bad it is, or nobody would learn that a slow node is quick again.
 */
import { CatgaError, describeError } from "../base/errors.ts";
import { ANSWER_SHARE, FIGURES_SHARE, TRIAL_PART } from "../base/limits.ts";
import type { Random } from "../base/random.ts";
import type { LoadFigures } from "../protocol/records.ts";

/** What a custom balancer is given of each candidate; figures travel with the heartbeats. */
export interface NodeLoad extends Omit<LoadFigures, "eventLoopLagMs"> {
  readonly node: string;
}

/** A node that may get a message: what it reports, smoothed, and what this node sees of it. */
export interface Candidate {
  readonly node: string;
  readonly weight: number;
  readonly figures: LoadFigures;
  /** Calls of this node that are open there. */
  readonly open: number;
  /** How long answers took of late, smoothed; 0 when that is not known. */
  readonly answerMs: number;
}

/** The strategies that need neither a key nor a function. */
export type Strategy = "roundRobin" | "random" | "leastConnections" | "leastLoad";

/** Picks one of `candidates`, never empty; pure, so that it can be tested. */
export type Balancer = (candidates: readonly NodeLoad[]) => NodeLoad;

/** Keeps what a strategy remembers from one call to the next: one for each type of message. */
export interface Picker {
  /**
   * One of `candidates`, never empty, with names that differ. An array that was given before must
   * hold the same nodes with the same weights as then; their figures may have changed.
   */
  pick<C extends Candidate>(candidates: readonly C[]): C;
}

/** See {@link Strategy}; each call of {@link Picker.pick} is O(1), or O(n) in new arrays. */
export function createPicker(strategy: Strategy, random: Random): Picker {
  switch (strategy) {
    case "roundRobin":
      return new RoundRobin(random);
    case "random": {
      const lots = new Lots(random);
      return { pick: (candidates) => candidates[lots.draw(candidates)]! };
    }
    case "leastConnections":
      return new TwoChoices(random, connections);
    case "leastLoad":
      return new TwoChoices(random, load);
  }
}

/**
 * Picks what `balancer` says. It is given copies, which it may sort; of what it returns the name
 * counts. `pick` throws BALANCER_FAILED when it throws or returns none of the candidates.
 */
export function createCustomPicker(message: string, balancer: Balancer): Picker {
  return {
    pick(candidates) {
      let chosen: unknown;
      try {
        chosen = (balancer(candidates.map(loadOf)) as NodeLoad | undefined)?.node;
      } catch (error) {
        const { name, text } = describeError(error);
        const details = { message, reason: `threw ${name}: ${text}` };
        throw new CatgaError("BALANCER_FAILED", details, { cause: error });
      }
      const found = candidates.find(({ node }) => node === chosen);
      if (found !== undefined) return found;
      const returned = typeof chosen === "string" ? `"${chosen}"` : "something";
      const reason = `returned ${returned}, which is none of the candidates`;
      throw new CatgaError("BALANCER_FAILED", { message, reason });
    },
  };
}

/** What a node reports, after what it reported before: one heartbeat is one moment. */
export function smoothedFigures(before: LoadFigures, now: LoadFigures): LoadFigures {
  const towards = (name: keyof LoadFigures): number =>
    before[name] + FIGURES_SHARE * (now[name] - before[name]);
  return {
    inFlight: towards("inFlight"),
    cpu: towards("cpu"),
    memoryBytes: towards("memoryBytes"),
    messagesPerSecond: towards("messagesPerSecond"),
    eventLoopLagMs: towards("eventLoopLagMs"),
  };
}

/** How long answers take, after one more that took `nowMs`; `beforeMs` is 0 at first. */
export function smoothedAnswerMs(beforeMs: number, nowMs: number): number {
  return beforeMs === 0 ? nowMs : beforeMs + ANSWER_SHARE * (nowMs - beforeMs);
}

function loadOf({ node, figures }: Candidate): NodeLoad {
  const { inFlight, cpu, memoryBytes, messagesPerSecond } = figures;
  return { node, inFlight, cpu, memoryBytes, messagesPerSecond };
}

/** A node's place in the rotation; times are virtual. */
interface Place {
  /** In the candidates of now. */
  at: number;
  due: number;
  stride: number;
  /** The number of its last turn: among those that are due together, who waited longest is next. */
  last: number;
}

/** Strides of weight one after which a node that is no candidate any more is forgotten. */
const FORGOTTEN_AFTER = 1_000;

class RoundRobin implements Picker {
  readonly #random: Random;
  readonly #places = new Map<string, Place>();
  #candidates: readonly Candidate[] = [];
  /** Of the candidates; the next one first, as long as all weights are the same. */
  #order: readonly Place[] = [];
  #next = 0;
  #isEven = true;
  #now = 0;
  #turns = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  pick<C extends Candidate>(candidates: readonly C[]): C {
    if (candidates !== this.#candidates) this.#admit(candidates);
    const place = this.#isEven ? this.#rotate() : this.#earliest();
    this.#now = place.due;
    place.due += place.stride;
    place.last = ++this.#turns;
    return candidates[place.at]!;
  }

  #rotate(): Place {
    const place = this.#order[this.#next]!;
    this.#next = this.#next + 1 === this.#order.length ? 0 : this.#next + 1;
    return place;
  }

  #earliest(): Place {
    return this.#order.reduce((first, place) => (inTurn(place, first) < 0 ? place : first));
  }

  #admit(candidates: readonly Candidate[]): void {
    const places = this.#places;
    const order = candidates.map(({ node, weight }, at) => {
      const stride = 1 / weight;
      // A newcomer stands anywhere, lest the newest be the next one for all callers at once.
      const anywhere = (): number => this.#now + stride * this.#random.fraction();
      const { due, last } = places.get(node) ?? { due: anywhere(), last: 0 };
      // Who was away has not saved up turns.
      return { at, due: Math.min(Math.max(due, this.#now), this.#now + stride), stride, last };
    });
    for (const [n, { node }] of candidates.entries()) places.set(node, order[n]!);
    for (const [node, { due }] of places) {
      if (due < this.#now - FORGOTTEN_AFTER) places.delete(node);
    }
    this.#candidates = candidates;
    this.#order = order.sort(inTurn);
    this.#next = 0;
    this.#isEven = order.every(({ stride }) => stride === order[0]!.stride);
  }
}

function inTurn(one: Place, other: Place): number {
  return one.due - other.due || one.last - other.last;
}

/** Draws by weight. */
class Lots {
  readonly #random: Random;
  #candidates: readonly Candidate[] = [];
  /** Where the share of each candidate ends, on a line as long as all weights. */
  #ends = new Float64Array();

  constructor(random: Random) {
    this.#random = random;
  }

  /** The index of one of `candidates`, but for `other`. */
  draw(candidates: readonly Candidate[], other?: number): number {
    if (candidates !== this.#candidates) this.#admit(candidates);
    const ends = this.#ends;
    let total = ends.at(-1)!;
    let [from, width] = [total, 0];
    if (other !== undefined) {
      from = other === 0 ? 0 : ends[other - 1]!;
      width = ends[other]! - from;
      total -= width;
    }
    const point = this.#random.fraction() * total;
    return indexAt(ends, point < from ? point : point + width);
  }

  #admit(candidates: readonly Candidate[]): void {
    let end = 0;
    this.#ends = Float64Array.from(candidates, ({ weight }) => (end += weight));
    this.#candidates = candidates;
  }
}

/** The first of `ends` beyond `point`, or the last one. */
function indexAt(ends: Float64Array, point: number): number {
  let [low, high] = [0, ends.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ends[middle]! > point) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** How much worse `one` is: 0 if they are alike, 1/2 and above if that is beyond doubt. */
type Comparison = (one: Candidate, other: Candidate) => number;

class TwoChoices implements Picker {
  readonly #random: Random;
  readonly #lots: Lots;
  readonly #compare: Comparison;

  constructor(random: Random, compare: Comparison) {
    this.#random = random;
    this.#lots = new Lots(random);
    this.#compare = compare;
  }

  pick<C extends Candidate>(candidates: readonly C[]): C {
    const first = this.#lots.draw(candidates);
    const one = candidates[first]!;
    if (candidates.length === 1) return one;
    const other = candidates[this.#lots.draw(candidates, first)]!;
    const part = 0.5 + this.#compare(one, other);
    const bounded = Math.min(Math.max(part, TRIAL_PART), 1 - TRIAL_PART);
    return this.#random.fraction() < bounded ? other : one;
  }
}

function connections(one: Candidate, other: Candidate): number {
  return 2 * excess(underWay(one), underWay(other), 1);
}

/** Calls there, by weight: those that others have as well. */
function underWay({ open, figures, weight }: Candidate): number {
  return (open + figures.inFlight) / weight;
}

/** What is under way counts double: with answer times above it a simulated herd came back. */
function load(one: Candidate, other: Candidate): number {
  const [a, b] = [one.figures, other.figures];
  const worse =
    2 * excess(underWay(one), underWay(other), 2) +
    excess(one.answerMs, other.answerMs, 1) +
    excess(a.cpu, b.cpu, 0.2) +
    excess(a.eventLoopLagMs, b.eventLoopLagMs, 10) +
    // Many messages are work, and also what a quick node is there for. Memory alone hurts nobody,
    // and most of it is there at rest: it does not go by weight.
    excess(a.messagesPerSecond / one.weight, b.messagesPerSecond / other.weight, 100) / 4 +
    excess(a.memoryBytes, b.memoryBytes, 256 * 1_048_576) / 4;
  return 1.5 * worse;
}

/**
 * Which part of both together `one` has more, so that figures of unlike kinds can be added up.
 * Differences below `noise` say little.
 */
function excess(one: number, other: number, noise: number): number {
  return (one - other) / (one + other + noise);
}
