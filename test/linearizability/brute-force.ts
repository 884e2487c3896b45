/** The definition of linearizability, tried out: of every order of the operations, is one legal? */
import type { Operation } from "./history.ts";
import type { Sequential, State } from "./objects.ts";

/** For a handful of operations: it takes as long as there are orders of them. */
export function isLinearizable<I, O>(
  operations: readonly Operation<I, O>[],
  object: Sequential<I, O>,
): boolean {
  const happened = operations.filter(({ outcome }) => outcome.kind !== "failed");
  return goesOn(object, object.initial, happened);
}

function goesOn<I, O>(
  object: Sequential<I, O>,
  state: State,
  left: readonly Operation<I, O>[],
): boolean {
  if (left.every(({ outcome }) => outcome.kind === "unknown")) return true;
  const firstEnd = Math.min(...left.map(endOf));
  return left.some((operation) => {
    if (operation.at > firstEnd) return false;
    const next = object.step(state, operation);
    const others = left.filter((other) => other !== operation);
    return next !== undefined && goesOn(object, next, others);
  });
}

function endOf<I, O>({ outcome }: Operation<I, O>): number {
  return outcome.kind === "ok" ? outcome.at : Infinity;
}
