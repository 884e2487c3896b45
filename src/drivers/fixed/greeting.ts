/** What two nodes of a list tell each other first, and why one of them may have to go. */
import { CatgaError } from "../../base/errors.ts";
import { hasShape, isWhole, type Shape } from "../../base/shape.ts";
import { namesShown } from "../../protocol/ids.ts";

/** See the file's header. */
export interface Greeting {
  readonly node: string;
  /** The addresses of the list, in the order of node ids. */
  readonly nodes: readonly string[];
  readonly shardCount: number;
  /** The entity types of the node, sorted. */
  readonly entities: readonly string[];
  /** The epoch of the latest start of each node of the list, as far as this one has heard. */
  readonly epochs: Readonly<Record<string, number>>;
  /** The incarnations this node has a connection to, by node id. */
  readonly connected: Readonly<Record<string, string>>;
}

const GREETING: Shape = {
  node: "string",
  nodes: "list",
  shardCount: "whole",
  entities: "list",
  epochs: "object",
  connected: "object",
};

/** True for a greeting that makes sense: what a peer sent is checked before it is believed. */
export function isGreeting(value: unknown): value is Greeting {
  if (!hasShape(value, GREETING)) return false;
  const { nodes, entities, epochs } = value as Greeting;
  const texts: readonly unknown[] = [...nodes, ...entities];
  return texts.every((each) => typeof each === "string") && isEpochs(epochs);
}

/** The same for the latest starts of nodes. */
export function isEpochs(value: unknown): value is Greeting["epochs"] {
  return hasShape(value, {}) && Object.values(value as object).every(isWhole);
}

/**
 * Compares what both sides start from.
 *
 * @throws {CatgaError} SETTINGS_DIFFER or ENTITY_SETS_DIFFER
 */
export function checkGreeting(ours: Greeting, theirs: Greeting, isListed: boolean): void {
  const lists = { setting: "nodes", ours: ours.nodes.join(" "), theirs: theirs.nodes.join(" ") };
  if (lists.ours !== lists.theirs) throw new CatgaError("SETTINGS_DIFFER", lists);
  const counts = { ours: ours.shardCount, theirs: theirs.shardCount };
  if (counts.ours !== counts.theirs) {
    throw new CatgaError("SETTINGS_DIFFER", { setting: "shardCount", ...counts });
  }
  const sets = { ours: namesShown(ours.entities), theirs: namesShown(theirs.entities) };
  if (isListed && sets.ours !== sets.theirs) throw new CatgaError("ENTITY_SETS_DIFFER", sets);
}
