/** What surrounds an entity: its type, its node, and what both wait for. */
import type { Waits } from "../base/waits.ts";
import type { EntityDefinition } from "./definition.ts";
import type { NodeContext } from "./node-context.ts";
import type { Work } from "./work.ts";

/** Whose turn something is. */
export interface Waiter {
  readonly id: string;
  /** The message whose turn is next. */
  readonly next: Work | undefined;
}

/** What surrounds an entity. */
export interface EntityHome {
  /** Messages of all its entities that wait for their turns. */
  readonly waiting: Waits<Waiter, Work>;
  /** Turns that have returned a promise. */
  readonly running: Waits<Waiter, Work>;
  readonly context: NodeContext;
  readonly definition: EntityDefinition;
  /** The entity in errors and logs: `account/42`. */
  keyOf(id: string): string;
}
