/**
 * The type of the app, computed from what is exposed: what Hono's `hc<typeof app>` reads.
 *
 * One path for each message of each entity, as it is asked; the routes behind them are general.
 * Messages with a name of their own share one path, for their type does not tell their name.
 */
import type { JSONParsed } from "hono/utils/types";
import type { AnyDef, Entity, PayloadOf, ReplyOf } from "../index.ts";

/** For each path what may be asked there. */
export type EdgeSchema<Exposed> = { [R in RouteOf<Exposed> as R["path"]]: R["endpoints"] };

// Each member of the union by itself.
type RouteOf<Exposed> =
  Exposed extends Entity<infer N, infer M>
    ? { [T in keyof M & string]: Route<`/entities/${N}/:id/${T}`, M[T]> }[keyof M & string]
    : NamedRoute;

interface NamedRoute {
  readonly path: "/messages/:type";
  readonly endpoints: { $post: Endpoint<{ param: { type: string }; json?: object }, unknown> };
}

interface Route<Path extends string, D extends AnyDef> {
  readonly path: Path;
  readonly endpoints: {
    $post: Endpoint<{ param: { id: string } } & Json<PayloadOf<D>>, ReplyOf<D>>;
  } & (D["kind"] extends "query"
    ? { $get: Endpoint<{ param: { id: string } } & Query<PayloadOf<D>>, ReplyOf<D>> }
    : {});
}

type Json<P> = [P] extends [void] ? {} : { json: P };
/** The payload as JSON, or its fields as they stand in a query string. */
type Query<P> = [P] extends [void]
  ? {}
  : { query: { payload: string } | { [K in keyof P]: Text<P[K]> } };
type Text<V> = V extends string | number | boolean ? `${V}` : V extends undefined ? V : never;

type Endpoint<Input, R> = {
  input: Input;
  output: [R] extends [void] ? null : JSONParsed<R>;
  outputFormat: [R] extends [void] ? "body" : "json";
  status: [R] extends [void] ? 204 : 200;
};
