/**
 * Whether a history is linearizable: every operation took effect at one instant between its
 * beginning and its end, one after the other; what was of unknown outcome at any instant since it
 * began, or never; what failed never.
 *
 * Sources: J. M. Wing and C. Gong, Testing and Verifying Concurrent Objects (1993); G. Lowe,
 * Testing for Linearizability (2017), from which the just-in-time search is: only where an
 * operation is answered it is looked at, and what else may have gone before it. The search goes
 * deep first and remembers where it has been; ways that others contain are left out
 * (`frontier.ts`). Each entity is looked at by itself, which is as good (Herlihy and Wing,
 * locality).
 */
import { Frontier, type Way } from "./frontier.ts";
import type { Operation } from "./history.ts";
import type { ObjectOf, Sequential } from "./objects.ts";

/** What was found of one entity. */
export type Verdict<I, O> =
  | { readonly kind: "linearizable" }
  /** Until `operation` was answered there was a way in which all may have come about. */
  | { readonly kind: "violation"; readonly operation: Operation<I, O>; readonly scene: Scene<I, O> }
  /** There are too many ways to try; nothing is known. */
  | { readonly kind: "undecided"; readonly operation: Operation<I, O> };

/** How things stood when the last operation was answered that could be explained. */
export interface Scene<I, O> {
  /** All in which the object may have been. */
  readonly states: readonly string[];
  /** What may happen yet: begun and not answered, or of unknown outcome. */
  readonly pending: readonly Operation<I, O>[];
  /** What was answered before, the latest last. */
  readonly before: readonly Operation<I, O>[];
}

/** How far a search goes. */
export interface Effort {
  /** Ways that are tried. @default 300000 */
  readonly waysMax?: number;
}

const WAYS_MAX = 300_000;
/** Operations of a {@link Scene} that were answered before. */
const BEFORE_MAX = 8;

/** Looks at the operations of one entity, in any order. */
export function checkEntity<I, O>(
  all: readonly Operation<I, O>[],
  objectOf: ObjectOf<I, O>,
  { waysMax = WAYS_MAX }: Effort = {},
): Verdict<I, O> {
  const happened = all.filter(({ outcome }) => outcome.kind !== "failed");
  const object = objectOf(happened);
  const answers = answersOf(happened, object);
  const search = new Search(object, answers);
  const result = search.run(waysMax);
  if (result === "found") return { kind: "linearizable" };
  const { operation } = answers[search.furthest]!.answered;
  if (result === "too many") return { kind: "undecided", operation };
  return { kind: "violation", operation, scene: search.scene() };
}

/** An operation, with what the search asks about it again and again. */
interface Step<I, O> {
  readonly number: number;
  readonly operation: Operation<I, O>;
  readonly endsAt: number;
  readonly isRead: boolean;
  readonly name: string;
}

/** An operation that is answered, and what has begun by then. */
interface Answer<I, O> {
  readonly answered: Step<I, O>;
  /** What is answered now or later, the first answer first. */
  readonly open: readonly Step<I, O>[];
  /** What is of unknown outcome, the first that began first. */
  readonly unknown: readonly Step<I, O>[];
}

/** In their order; what happens at the same time is concurrent. */
function answersOf<I, O>(
  operations: readonly Operation<I, O>[],
  object: Sequential<I, O>,
): Answer<I, O>[] {
  const steps = operations.map((operation, number): Step<I, O> => {
    const { at, input, outcome } = operation;
    const endsAt = outcome.kind === "ok" ? outcome.at : Infinity;
    if (endsAt < at) throw new RangeError("Cannot look at what ended before it began");
    const isRead = object.isRead(operation);
    return { number, operation, endsAt, isRead, name: object.classOf(input) };
  });
  const ended = steps
    .filter(({ endsAt }) => endsAt < Infinity)
    .sort((one, other) => one.endsAt - other.endsAt);
  const unknown = steps
    .filter(({ endsAt, isRead, operation }) => {
      return endsAt === Infinity && !isRead && !object.isUnseen(operation);
    })
    .sort((one, other) => one.operation.at - other.operation.at);
  return ended.map((answered, index) => {
    const hasBegun = ({ operation }: Step<I, O>): boolean => operation.at <= answered.endsAt;
    const open = ended.slice(index).filter(hasBegun);
    return { answered, open, unknown: unknown.filter(hasBegun) };
  });
}

/** The ways in which a history may have come about, up to the first answer that is to come. */
class Search<I, O> {
  /** The latest answer that was come to. */
  furthest = 0;
  readonly #object: Sequential<I, O>;
  readonly #answers: readonly Answer<I, O>[];
  /** Where the search has been, for each answer. */
  readonly #been: Frontier[];

  constructor(object: Sequential<I, O>, answers: readonly Answer<I, O>[]) {
    this.#object = object;
    this.#answers = answers;
    this.#been = answers.map(() => new Frontier());
  }

  run(waysMax: number): "found" | "none" | "too many" {
    const stack = [{ index: 0, way: { state: this.#object.initial, early: [], used: [] } as Way }];
    for (let tried = 0; ; tried++) {
      const top = stack.pop();
      if (top === undefined) return "none";
      if (tried > waysMax) return "too many";
      const { index, way } = top;
      const answer = this.#answers[index];
      if (answer === undefined) return "found";
      this.furthest = Math.max(this.furthest, index);
      const { number } = answer.answered;
      if (way.early.includes(number)) {
        const early = way.early.filter((each) => each !== number);
        stack.push({ index: index + 1, way: { ...way, early } });
        continue;
      }
      const whole = this.#withReads(way, answer);
      if (!this.#been[index]!.add(whole)) continue;
      if (whole.early.includes(number)) stack.push({ index, way: whole });
      // The likeliest last, for it is tried first.
      else
        for (const next of this.#after(whole, answer).toReversed())
          stack.push({ index, way: next });
    }
  }

  /** How things stood at the furthest answer. */
  scene(): Scene<I, O> {
    const { open, unknown } = this.#answers[this.furthest]!;
    const states = new Set(this.#been[this.furthest]!.ways().map(({ state }) => state));
    const before = this.#answers.slice(Math.max(0, this.furthest - BEFORE_MAX), this.furthest);
    return {
      states: [...states].map((state) => this.#object.textOf(state)),
      pending: [...open, ...unknown].map(({ operation }) => operation),
      before: before.map(({ answered }) => answered.operation),
    };
  }

  /** The ways that are one operation longer, the likeliest first. */
  #after(way: Way, answer: Answer<I, O>): Way[] {
    const { operation, number } = answer.answered;
    const rankOf = ({ state, early, used }: Way): number => {
      if (early.at(-1) === number) return 0;
      if (used.length > way.used.length) return 2;
      return this.#object.step(state, operation) === undefined ? 3 : 1;
    };
    const ranked = this.#longer(way, answer).map((next) => ({ next, rank: rankOf(next) }));
    return ranked.sort((one, other) => one.rank - other.rank).map(({ next }) => next);
  }

  /** The ways that are one operation longer, in the order in which those are answered. */
  #longer({ state, early, used }: Way, { open, unknown }: Answer<I, O>): Way[] {
    const found: Way[] = [];
    for (const { number, operation } of open) {
      if (early.includes(number)) continue;
      const next = this.#object.step(state, operation);
      if (next !== undefined) found.push({ state: next, early: [...early, number], used });
    }
    const names = new Set<string>();
    for (const { number, operation, name } of unknown) {
      // Of those that do the same the one that began first can stand for every other one.
      if (used.includes(number) || names.has(name)) continue;
      names.add(name);
      const next = this.#object.step(state, operation);
      if (next === undefined || next === state) continue;
      found.push({ state: next, early, used: [...used, number] });
    }
    return found;
  }

  /** What changes nothing and is possible now need not be tried later. */
  #withReads(way: Way, { open }: Answer<I, O>): Way {
    const reads = open.filter(({ number, isRead, operation }) => {
      if (!isRead || way.early.includes(number)) return false;
      return this.#object.step(way.state, operation) !== undefined;
    });
    if (reads.length === 0) return way;
    return { ...way, early: [...way.early, ...reads.map(({ number }) => number)] };
  }
}
