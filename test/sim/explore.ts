/**
 * Tries every order of events up to a depth: depth first over the tree of choices, each run from
 * the start, for real nodes cannot be copied (stateless model checking).
 *
 * Two events that touch different places do the same in either order, so one order is enough: what
 * was tried before its neighbour sleeps behind that neighbour until something wakes it that touches
 * the same (sleep sets). Source: Patrice Godefroid, "Partial-Order Methods for the Verification of
 * Concurrent Systems", 1996, chapter 5.
 */

/** What an event has touched. */
export interface Footprint {
  /** A node, or the authority. */
  readonly place: string;
  /** True when it looked at other nodes too, as the oracle does. */
  readonly looksAround: boolean;
  /** True when time went on: all see that. */
  readonly tookTime: boolean;
  /** Faults are counted, so there is an order between them. */
  readonly isFault: boolean;
}

/** Something that may come next. */
export interface Option {
  /** The same in every run in which it has the same cause. */
  readonly name: number;
  readonly label: string;
  readonly isFault: boolean;
}

interface Branch {
  readonly options: readonly Option[];
  at: number;
  /** What sleeps from the beginning, and what was tried here. */
  readonly sleeping: Map<number, Footprint>;
  footprint: Footprint | undefined;
}

/** Thrown by a run whose every continuation was tried in another order. */
export const TRIED = new Error("every continuation was tried in another order");

/** See the file's header. */
export class Explorer {
  readonly #branches: Branch[] = [];
  readonly #changesMax: number;
  #depth = 0;

  /**
   * Tries only what differs from the default order in at most `changesMax` places, if that is
   * given: few suffice for most bugs, and then the depth may be large. Source: Emmi, Qadeer and
   * Rakamarić, "Delay-Bounded Scheduling", 2011.
   */
  constructor(changesMax: number = Number.POSITIVE_INFINITY) {
    this.#changesMax = changesMax;
  }

  /** What was chosen, in order. */
  get labels(): string[] {
    return this.#branches.map(({ options, at }) => options[at]!.label);
  }

  /** Chooses what comes next. @throws {Error} {@link TRIED} */
  choose<O extends Option>(options: readonly O[]): O {
    if (this.#depth === this.#branches.length) {
      const sleeping = this.#sleeping();
      const changes = this.#branches.filter(({ at }) => at > 0).length;
      const allowed = changes < this.#changesMax ? options : options.slice(0, 1);
      const awake = allowed.filter(({ name }) => !sleeping.has(name));
      if (awake.length === 0) throw TRIED;
      this.#branches.push({ options: awake, at: 0, sleeping, footprint: undefined });
    }
    const branch = this.#branches[this.#depth++]!;
    const { name, label } = branch.options[branch.at]!;
    const chosen = options.find((option) => option.name === name);
    if (chosen === undefined) throw new Error(`Cannot repeat the run: no "${label}" this time`);
    return chosen;
  }

  /** Takes down what the last choice has touched. */
  touched(footprint: Footprint): void {
    this.#branches[this.#depth - 1]!.footprint = footprint;
  }

  /** Goes to the next order; false when there is none. */
  next(): boolean {
    this.#depth = 0;
    for (let branch = this.#branches.at(-1); branch !== undefined; branch = this.#branches.at(-1)) {
      const { name } = branch.options[branch.at]!;
      if (branch.footprint !== undefined) branch.sleeping.set(name, branch.footprint);
      branch.footprint = undefined;
      if (++branch.at < branch.options.length) return true;
      this.#branches.pop();
    }
    return false;
  }

  #sleeping(): Map<number, Footprint> {
    const last = this.#branches.at(-1);
    // What is equal to another order may be so to one that has more changes, and is not tried.
    const isBounded = Number.isFinite(this.#changesMax);
    if (last?.footprint === undefined || isBounded) return new Map();
    const { footprint } = last;
    return new Map([...last.sleeping].filter(([, each]) => areIndependent(each, footprint)));
  }
}

function areIndependent(one: Footprint, other: Footprint): boolean {
  return (
    one.place !== other.place &&
    !one.tookTime &&
    !other.tookTime &&
    !(one.looksAround && other.looksAround) &&
    !(one.isFault && other.isFault)
  );
}
