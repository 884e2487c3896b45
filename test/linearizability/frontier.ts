/** The ways in which a history up to now may have come about, without those that others contain. */
import type { State } from "./objects.ts";

/** One of these ways: what was carried out, and the state that this has led to. */
export interface Way {
  readonly state: State;
  /** Operations that were answered later than now and are carried out already, by number. */
  readonly early: readonly number[];
  /** Operations of unknown outcome that were carried out, by number. */
  readonly used: readonly number[];
}

/**
 * Of two ways to one state with the same operations carried out early, the one that has used fewer
 * of unknown outcome can go on as the other one does: what it has not used may still happen.
 */
export class Frontier {
  readonly #ways = new Map<string, Way[]>();

  /** Takes `way` in, unless there is one that contains it: then false. */
  add(way: Way): boolean {
    const key = `${JSON.stringify(way.state)} ${way.early.toSorted((a, b) => a - b).join()}`;
    const alike = this.#ways.get(key) ?? [];
    if (alike.some(({ used }) => isWithin(used, way.used))) return false;
    const kept = alike.filter(({ used }) => !isWithin(way.used, used));
    kept.push(way);
    this.#ways.set(key, kept);
    return true;
  }

  /** All of them. */
  ways(): Way[] {
    return [...this.#ways.values()].flat();
  }
}

function isWithin(part: readonly number[], whole: readonly number[]): boolean {
  return part.length <= whole.length && part.every((each) => whole.includes(each));
}
