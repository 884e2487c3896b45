/** A rule of the protocol as the simulator takes it out. */
import type { SceneName } from "./directed.ts";
import type { Kind } from "./plan.ts";

/** One place of the source, and what is to stand there instead. */
export interface Patch {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** A rule that can be taken out. */
export interface Rule extends Patch {
  readonly rule: string;
  /** Other places that the rule stands at. */
  readonly also?: readonly Patch[];
}

/** A rule whose absence a schedule notices. */
export interface Mutation extends Rule {
  readonly kind: Kind | SceneName;
  /** A schedule that notices. */
  readonly seed: number;
}
