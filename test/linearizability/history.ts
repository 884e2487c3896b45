/**
 * What callers saw of entities: which operations they began and when, and what came of each. Times
 * are of one clock, which all callers share; what happens at the same time is concurrent.
 */
import { isCatgaError } from "../../src/index.ts";

/** What came of an operation. */
export type Outcome<O> =
  /** It was answered `at` a time, so it took effect once, between its beginning and then. */
  | { readonly kind: "ok"; readonly at: number; readonly output: O }
  /** It certainly did not happen, and never will. */
  | { readonly kind: "failed" }
  /** It may have happened at any time since it began, may happen later, or never. */
  | { readonly kind: "unknown" };

/** Something that a caller asked of one entity. */
export interface Operation<I, O> {
  /** The entity; each is looked at by itself. */
  readonly entity: string;
  readonly input: I;
  /** When it began. */
  readonly at: number;
  readonly outcome: Outcome<O>;
}

/** Records the operations of all callers in this process. */
export class Recorder<I, O> {
  readonly #now: () => number;
  readonly #open = new Set<Omit<Operation<I, O>, "outcome">>();
  readonly #ended: Operation<I, O>[] = [];

  constructor(now: () => number) {
    this.#now = now;
  }

  /** All operations; those that have not ended yet are unknown. */
  get operations(): Operation<I, O>[] {
    const open = [...this.#open].map((begun) => ({
      ...begun,
      outcome: { kind: "unknown" } as const,
    }));
    return [...this.#ended, ...open];
  }

  /**
   * Has `run` carry out `input`, and resolves when it has ended: with its output, or with
   * `undefined` when it failed. An error that says that the handler did not run is a failure, every
   * other one is unknown.
   */
  async call(
    { entity, input }: Pick<Operation<I, O>, "entity" | "input">,
    run: () => Promise<O>,
  ): Promise<O | undefined> {
    const begun = { entity, input, at: this.#now() };
    this.#open.add(begun);
    const end = (outcome: Outcome<O>): void => {
      this.#open.delete(begun);
      this.#ended.push({ ...begun, outcome });
    };
    try {
      const output = await run();
      end({ kind: "ok", at: this.#now(), output });
      return output;
    } catch (error) {
      end({ kind: isCatgaError(error) && error.executed === "no" ? "failed" : "unknown" });
      return undefined;
    }
  }
}
