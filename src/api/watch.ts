/** Watching an entity, at the door. */
import type { WatchEvent, Watches } from "../runtime/watches.ts";
import type { MaybePromise } from "./messages.ts";
import type { RefTarget } from "./ref.ts";

/** Options of a watch. */
export interface WatchOptions {
  /** Goes on where another watch of the entity was: the id of what that was given last. */
  readonly after?: string | undefined;
}

/** Which entity is watched, by whom. */
export type WatchArgs<T = RefTarget> = [
  target: T,
  id: string,
  run: (event: WatchEvent) => MaybePromise<void>,
  options?: WatchOptions,
];

/** Watches an entity; the result ends that. @throws {TypeError | CatgaError} */
export function watch(watches: Watches, [target, id, run, options]: WatchArgs): () => void {
  if (typeof run !== "function") throw new TypeError(`Cannot watch "${id}": that is no function`);
  const entity = typeof target === "string" ? target : target.name;
  return watches.add({ entity, id }, run as (event: object) => unknown, options?.after);
}
