/**
 * What happens in a schedule: in each round perhaps a fault, then messages, then time.
 *
 * A seed draws it while the schedule runs, for what may fail depends on who is there; and it takes
 * down what it drew. So a part of it can be replayed: the same faults and messages but for those
 * that were left out, whose absence changes none of the others.
 */

/** What kind of faults a schedule has. */
export type Kind = "planned" | "chaos" | "rollback";

/** Something that happens to the cluster; `ms` is how long it lasts. */
export type Fault =
  | {
      readonly kind: "join";
      readonly name: string;
      readonly rate: number;
      readonly offsetMs: number;
    }
  | { readonly kind: "leave" | "kill"; readonly name: string }
  | { readonly kind: "pause" | "isolate" | "partition"; readonly name: string; readonly ms: number }
  | { readonly kind: "slow authority" | "slow network" }
  | { readonly kind: "jump"; readonly name: string; readonly ms: number }
  /** The authority goes back by so many rounds; `ms` later the schedule goes on. */
  | { readonly kind: "rollback"; readonly rounds: number; readonly ms: number };

/** A message of node `from` to entity `id`, whose turn lasts `ms`. */
export interface Load {
  readonly from: string;
  readonly id: string;
  readonly ms: number;
}

/** What happened in one round. */
export interface Round {
  fault?: Fault;
  load: readonly Load[];
  pauseMs: number;
}

/** Which part of a schedule is replayed; what is not named is whole. */
export interface Part {
  /** Rounds whose faults happen, from 1. */
  readonly only?: readonly number[];
  /** Entities that are sent messages. */
  readonly entities?: readonly string[];
  /** How many rounds it has. */
  readonly rounds?: number;
}

/** Says what happens next; `stayers` are the nodes that live and do not leave. */
export interface Plan {
  readonly rounds: readonly Round[];
  /** Begins the next round; false when there is none. */
  next(): boolean;
  fault(stayers: readonly string[]): Fault | undefined;
  load(stayers: readonly string[]): readonly Load[];
  pauseMs(): number;
}

/** Nodes that every schedule begins with: `n1` and `n2`. */
export const NODES = 2;
/** Entities that are sent messages: `e0` and so on. */
export const ENTITIES = 6;

const ROUNDS = 14;
const LOAD_PER_NODE = 4;
/** By then most nodes have heard of a rollback, and are back. */
const ROLLBACK_MS_MAX = 2_500;
const CLOCK_RATES = [0.995, 1, 1.005];

/** A plan that a seed draws. */
export class DrawnPlan implements Plan {
  readonly rounds: Round[] = [];
  readonly #kind: Kind;
  #state: number;
  #joined = NODES + 1;

  constructor(kind: Kind, seed: number) {
    this.#kind = kind;
    this.#state = seed * 7_919 + 1;
  }

  next(): boolean {
    if (this.rounds.length === ROUNDS) return false;
    this.rounds.push({ load: [], pauseMs: 0 });
    return true;
  }

  fault(stayers: readonly string[]): Fault | undefined {
    const fault = this.#draw(stayers);
    if (fault !== undefined) this.rounds.at(-1)!.fault = fault;
    return fault;
  }

  load(stayers: readonly string[]): readonly Load[] {
    const load = stayers.flatMap((from) =>
      Array.from({ length: LOAD_PER_NODE }, () => {
        const id = `e${Math.floor(this.#fraction() * ENTITIES)}`;
        return { from, id, ms: this.#fraction() < 0.3 ? this.#upTo(80) : 0 };
      }),
    );
    this.rounds.at(-1)!.load = load;
    return load;
  }

  pauseMs(): number {
    return (this.rounds.at(-1)!.pauseMs = this.#upTo(120));
  }

  #draw(stayers: readonly string[]): Fault | undefined {
    const chance = this.#fraction();
    const name = stayers[Math.floor(this.#fraction() * stayers.length)]!;
    if (this.#kind === "rollback" && this.#fraction() < 0.1) {
      // By one or two, or by many; at most to before the first node.
      const rounds = Math.floor(this.#fraction() ** 2 * (this.rounds.length + 1));
      return { kind: "rollback", rounds, ms: this.#upTo(ROLLBACK_MS_MAX) };
    }
    if (chance < 0.25 && stayers.length < 4) {
      const rate = CLOCK_RATES[this.#joined % 3]!;
      return { kind: "join", rate, offsetMs: this.#upTo(10_000), name: `n${this.#joined++}` };
    }
    if (chance < 0.45 && stayers.length > 2) return { kind: "leave", name };
    return this.#kind === "planned" ? undefined : this.#break(name, stayers.length);
  }

  #break(name: string, stayers: number): Fault {
    const chance = this.#fraction();
    if (chance < 0.2 && stayers > 1) return { kind: "kill", name };
    if (chance < 0.45) return { kind: "pause", name, ms: this.#upTo(2_500) };
    if (chance < 0.6) return { kind: "isolate", name, ms: this.#upTo(2_500) };
    if (chance < 0.75) return { kind: "partition", name, ms: this.#upTo(1_500) };
    if (chance < 0.85) return { kind: "slow authority" };
    if (chance < 0.95) return { kind: "slow network" };
    return { kind: "jump", name, ms: this.#upTo(4_000) - 2_000 };
  }

  #upTo(ms: number): number {
    return Math.ceil(this.#fraction() * ms);
  }

  /** Chance of its own, so that the load does not change with what the cluster does. */
  #fraction(): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#state / 2 ** 32;
  }
}

/** A part of what was drawn before. */
export class ReplayedPlan implements Plan {
  readonly rounds: readonly Round[];
  #at = -1;

  constructor(drawn: readonly Round[], { only, entities, rounds = drawn.length }: Part) {
    this.rounds = drawn.slice(0, rounds).map(({ fault, load, pauseMs }, index) => ({
      ...(fault === undefined || only?.includes(index + 1) === false ? {} : { fault }),
      load: load.filter(({ id }) => entities?.includes(id) !== false),
      pauseMs,
    }));
  }

  next(): boolean {
    return ++this.#at < this.rounds.length;
  }

  /** The same fault, unless its node is not there without another fault. */
  fault(stayers: readonly string[]): Fault | undefined {
    const { fault } = this.rounds[this.#at]!;
    if (fault === undefined || !("name" in fault) || fault.kind === "join") return fault;
    const isLast = stayers.length < 2 && (fault.kind === "kill" || fault.kind === "leave");
    return isLast || !stayers.includes(fault.name) ? undefined : fault;
  }

  load(stayers: readonly string[]): readonly Load[] {
    return this.rounds[this.#at]!.load.filter(({ from }) => stayers.includes(from));
  }

  pauseMs(): number {
    return this.rounds[this.#at]!.pauseMs;
  }
}
