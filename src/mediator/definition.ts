/** Messages with a name of their own as the mediator has them: checked, with all defaults set. */
import type { Balancer, Strategy } from "./balance.ts";

/** The key of a message, as text. @throws {CatgaError} INVALID_KEY */
export type KeyFunction = (message: object) => string;

/** How many nodes have to answer a broadcast. */
export type Quorum = "all" | "majority" | number;

/** The way of a message. */
export type RouteSpec =
  /** To the owner of its key. */
  | { readonly to: "owner"; readonly key: KeyFunction }
  | { readonly to: "entity"; readonly entity: string; readonly key: KeyFunction }
  /** To a node that has a handler; `local` prefers this one, or takes no other. */
  | {
      readonly to: "node";
      readonly strategy: Strategy | Balancer;
      readonly local: "preferred" | "only" | undefined;
    }
  | { readonly to: "all"; readonly quorum: Quorum };

/** What makes cached answers of a query old: one of them by its key, or without one all. */
export interface InvalidationSpec {
  readonly type: string;
  readonly key: KeyFunction | undefined;
}

/** How the answers of a query are kept. */
export interface CacheSpec {
  readonly ttlMs: number;
  readonly staleMs: number;
  /** Nothing for the whole payload. */
  readonly key: KeyFunction | undefined;
  /** True when the nodes that handle it keep them, for all. */
  readonly isShared: boolean;
  readonly invalidatedBy: readonly InvalidationSpec[];
}

/** A message with a name of its own. */
export interface NamedSpec {
  readonly type: string;
  /** The entity type that stands for its handler. */
  readonly entity: string;
  readonly kind: "command" | "query" | "event";
  readonly timeoutMs: number | undefined;
  readonly route: RouteSpec;
  readonly cache: CacheSpec | undefined;
  readonly fallback: ((message: object) => unknown) | undefined;
  /** Handlers of it that run at once on a node. */
  readonly concurrency: number;
  readonly idempotency: { readonly key: KeyFunction; readonly windowMs: number } | undefined;
  /** Of an event: which entity it is for. */
  readonly key: KeyFunction | undefined;
}
