/** A message that an entity has itself reminded of, as it is stored and travels. */
import { hasShape } from "../base/shape.ts";

/** When by the wall clock, how often (0 for once), and what. */
export interface Reminder {
  readonly name: string;
  readonly dueMs: number;
  readonly everyMs: number;
  readonly message: unknown;
}

const SHAPE = { name: "string", dueMs: "number", everyMs: "number", message: "object" } as const;

/** True for one that makes sense. */
export function isReminder(value: unknown): value is Reminder {
  return hasShape(value, SHAPE);
}

/** When the first of `all` is due. */
export function firstMsOf(all: readonly Reminder[]): number | undefined {
  return all.length === 0 ? undefined : Math.min(...all.map(({ dueMs }) => dueMs));
}
