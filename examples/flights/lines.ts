/**
 * What the orchestrator and its nodes say to each other: one JSON text a line, commands into a
 * node's stdin, lines of news out of its stdout. The end of stdin tells a node to leave.
 */
import type { Totals } from "./airport.ts";
import type { Tally } from "./replay.ts";

/** How a node is to be started: its only argument, as JSON. */
export interface NodePlan {
  readonly cluster: string;
  readonly node: string;
  /** Where its HTTP edge listens. */
  readonly port: number;
}

/** What a node can be asked, with what it answers. */
export interface Questions {
  /**
   * The owners of these airports as this node knows them, in this order; null where it knows none.
   */
  owners: { readonly ask: { readonly airports: readonly string[] }; readonly answer: Owners };
  /** To send a share of the flights. */
  replay: { readonly ask: Portion; readonly answer: Tally };
  /** What these airports have counted, in this order. */
  totals: {
    readonly ask: { readonly airports: readonly string[] };
    readonly answer: readonly Totals[];
  };
}

/**
 * Which flights a node sends: of those from `from` to before `to` every `parts`-th, from `part`.
 */
export interface Portion {
  readonly from: number;
  readonly to: number;
  readonly part: number;
  readonly parts: number;
  /** Only messages to these airports; null for all of them. */
  readonly airports: readonly string[] | null;
  /** They are sent once more: an airport that knows a flight does not count it as doubled. */
  readonly again: boolean;
}

/** Node ids, or null where nobody is known to own the airport. */
export type Owners = readonly (string | null)[];

/** A question on its way to a node. */
export type Command = {
  [Q in keyof Questions]: { readonly id: number; readonly do: Q } & Questions[Q]["ask"];
}[keyof Questions];

/** What a node says once it serves. */
export interface Ready {
  readonly node: string;
  readonly runtime: string;
  readonly url: string;
  readonly pid: number;
}

/** A line out of a node. */
export type News =
  | { readonly kind: "ready"; readonly ready: Ready }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "progress"; readonly tally: Tally }
  | { readonly kind: "answer"; readonly id: number; readonly answer: unknown }
  | { readonly kind: "refusal"; readonly id: number; readonly reason: string };
