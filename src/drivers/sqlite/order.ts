/**
 * What a node and the thread of its store say to each other. Orders are numbered and answered by
 * number, in any order; number 0 is the answer to the opening, which nobody asked for: the
 * identity of the store.
 */
import type { ErrorCode } from "../../base/errors.ts";
import type { StoreKey, StoreResult, StoreWrite } from "../../ports/store.ts";

/** When a write counts as kept: see `SqliteOptions.synchronous`. */
export type Synchronous = "full" | "normal";

/** What the thread opens. */
export interface Place {
  readonly file: string;
  readonly cluster: string;
  readonly shardCount: number;
  readonly synchronous: Synchronous;
}

/** What is asked of the file and changes nothing. */
export type Question =
  | { readonly kind: "load"; readonly key: StoreKey }
  | {
      readonly kind: "due";
      readonly where: Omit<StoreKey, "id">;
      readonly untilMs: number;
      readonly limit: number;
    }
  | { readonly kind: "page"; readonly after: string | undefined };

/**
 * Writes, each property as a list: threads copy long lists of texts and numbers many times as fast
 * as objects.
 */
export type Columns = { readonly [K in keyof StoreWrite]: readonly StoreWrite[K][] };

/** What became of a write; a version alone when it was carried out. */
export type Written = number | Extract<StoreResult, { readonly ok: false }>;

/** What the thread is to do; `nowMs` is the node's time of day, for the thread has none. */
export type Work =
  | Question
  | { readonly kind: "write"; readonly writes: Columns; readonly nowMs: number }
  | { readonly kind: "forget"; readonly nowMs: number }
  | { readonly kind: "close" };

/** A numbered {@link Work}. */
export interface Order {
  readonly number: number;
  readonly work: Work;
}

/** What came of an order; a failure with a code is an error of catga, all others have a reason. */
export type Answer = { readonly number: number } & (
  | { readonly value: unknown }
  | { readonly reason: string }
  | { readonly code: ErrorCode; readonly details: object }
);

/** `writes` for the way to the thread. */
export function columnsOf(writes: readonly StoreWrite[]): Columns {
  const column = <K extends keyof StoreWrite>(name: K): StoreWrite[K][] =>
    writes.map((write) => write[name]);
  return {
    entity: column("entity"),
    id: column("id"),
    shard: column("shard"),
    expected: column("expected"),
    fence: column("fence"),
    data: column("data"),
    dueMs: column("dueMs"),
  };
}

/** What {@link columnsOf} was made of. */
export function writesOf({ entity, id, ...rest }: Columns): StoreWrite[] {
  return id.map((each, i) => ({
    entity: entity[i]!,
    id: each,
    shard: rest.shard[i]!,
    expected: rest.expected[i]!,
    fence: rest.fence[i]!,
    data: rest.data[i],
    dueMs: rest.dueMs[i],
  }));
}
