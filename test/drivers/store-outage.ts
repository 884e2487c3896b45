/** How tests see a store that is away. */
import { isCatgaError } from "../../src/base/errors.ts";
import { waitUntil } from "../contracts/wait-until.ts";

const PATIENCE = { timeoutMs: 15_000 };

/** Undefined for the error of a store that is away; throws any other. */
export function unlessAway(error: unknown): undefined {
  if (!isCatgaError(error, "STORE_UNAVAILABLE")) throw error;
  return undefined;
}

/** Why a store is away, as `work` must say. */
export async function reasonOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => new Error("nothing failed"),
    (failure: unknown) => failure,
  );
  if (!isCatgaError(error, "STORE_UNAVAILABLE")) throw error;
  return error.details.reason;
}

/** What `work` comes to, as soon as the store is there. */
export async function insist<T>(work: () => Promise<T>): Promise<T> {
  let found: { readonly value: T } | undefined;
  const tried = async (): Promise<boolean> => {
    found = await work().then((value) => ({ value }), unlessAway);
    return found !== undefined;
  };
  await waitUntil("the store is there", tried, PATIENCE);
  return found!.value;
}
