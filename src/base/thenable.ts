/** Promises, and what behaves like one. */

/** A promise that has failed with what was thrown. */
export async function rejected(thrown: unknown): Promise<never> {
  throw thrown;
}

/** True for a promise, or what behaves like one: a handler that returns none has ended already. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as { then?: unknown }).then === "function"
  );
}
