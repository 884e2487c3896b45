/**
 * The edge: a cluster's entities over HTTP, as an app to be mounted in another.
 *
 *   POST, GET  /entities/:name/:id/:type    `entities.ts`
 *   POST, GET  /messages/:type              `messages.ts`
 *   GET        /watch/:name/:id             `watch.ts`
 *   GET        /events?types=…              `events.ts`
 *   GET        /cluster/…                   `cluster-routes.ts`
 *   GET        /healthz/live                `health.ts`
 *   GET        /openapi.json                `openapi.ts`
 *
 * Nothing is reachable that is not exposed. Every other path answers 404 here, so routes of the
 * surrounding app come before it. A request of which the caller hangs up gives up waiting.
 */
import { Hono } from "hono";
import { CatgaError, type Logger } from "../index.ts";
import { bodyOf } from "./answer.ts";
import { authenticatedBy } from "./auth.ts";
import { addClusterRoutes } from "./cluster-routes.ts";
import type { Authenticate, Authorize, Edge, GatewayCluster, Told } from "./edge.ts";
import { addEntityRoutes } from "./entities.ts";
import { EventStreams, type StreamLimits } from "./event-stream.ts";
import { addEventRoutes } from "./events.ts";
import { withHeaders } from "./headers.ts";
import { addHealthRoutes } from "./health.ts";
import { addMessageRoutes } from "./messages.ts";
import { addOpenApiRoute, type OpenApiInfo } from "./openapi.ts";
import { answerError } from "./problem.ts";
import type { EdgeSchema } from "./schema.ts";
import { type Exposable, exposedBy } from "./target.ts";
import { addWatchRoutes } from "./watch.ts";

/** Options of {@link gateway}. */
export interface GatewayOptions<X extends readonly Exposable[] = readonly Exposable[]> {
  /**
   * What may be reached: entity types, with all their messages, and messages with a name of their
   * own. Of an event that is what is published; nobody outside publishes.
   */
  readonly expose: X;
  /** Who asks; whoever it does not know is answered 401, but for `/healthz`. @default anybody */
  readonly auth?: Authenticate;
  /** Whether who asks may do that; needs `auth`. @default everybody may do everything */
  readonly authorize?: Authorize;
  /**
   * `/cluster`, `/metrics` and events of the cluster: `off`, to `read`, or with `PUT
   * /cluster/drain`. @default "read"
   */
  readonly management?: "off" | "read" | "full";
  /** How many event streams may be open. @default 10,000, and 100 of one identity */
  readonly streams?: StreamLimits;
  /** What `/openapi.json` says of itself. */
  readonly openapi?: OpenApiInfo;
  /** Hears of failures that callers are not told, with the request id they are told. */
  readonly log?: Logger;
}

/** A body may have so many bytes: far above what a message needs, far below what hurts. */
const BODY_BYTES_MAX = 262_144;

/**
 * Makes the app that serves `cluster`.
 *
 * @example
 * const app = new Hono().route("/", gateway(cluster, { expose: [Account] }));
 * await listen(app, { port: 3000 });
 * @throws {TypeError} when one of `expose` cannot be exposed, or is there twice; for `authorize`
 * without `auth`.
 */
export function gateway<const X extends readonly Exposable[]>(
  cluster: GatewayCluster,
  options: GatewayOptions<X>,
): Hono<Told, EdgeSchema<X[number]>> {
  const { log, authorize, auth, management = "read" } = options;
  if (authorize !== undefined && auth === undefined) {
    throw new TypeError("Cannot authorize without knowing who asks: add auth");
  }
  const edge: Edge = { cluster, exposed: exposedBy(options.expose), log, management, authorize };
  const app = new Hono<Told>();
  app.onError((error, c) => answerError(error, c, log));
  app.use(withHeaders());
  addHealthRoutes(app);
  app.use(authenticatedBy(auth));
  const body = bodyOf(BODY_BYTES_MAX);
  addEntityRoutes(app, edge, ...body);
  addMessageRoutes(app, edge, ...body);
  const streams = new EventStreams(options.streams, edge.drained);
  addWatchRoutes(app, edge, streams);
  addEventRoutes(app, edge, streams);
  addClusterRoutes(app, edge);
  addOpenApiRoute(app, edge, { info: options.openapi, hasAuth: auth !== undefined });
  app.all("*", (c) => {
    throw new CatgaError("NOT_FOUND", { path: new URL(c.req.url).pathname });
  });
  return app;
}
