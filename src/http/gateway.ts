/**
 * The edge: a cluster's entities over HTTP, as an app to be mounted in another.
 *
 *   POST, GET  /entities/:name/:id/:type    `entities.ts`
 *   POST, GET  /messages/:type              `messages.ts`
 *   GET        /watch/:name/:id             `watch.ts`
 *   GET        /events?types=…              `events.ts`
 *   GET        /cluster/…                   `cluster-routes.ts`
 *   GET        /healthz/live, /healthz/ready  `health.ts`
 *   GET        /metrics                     `metrics.ts`
 *   GET        /openapi.json                `openapi.ts`
 *   GET        /socket                      `socket.ts`
 *
 * Nothing is reachable that is not exposed. Every other path answers 404 here, so routes of the
 * surrounding app come before it. A request of which the caller hangs up gives up waiting.
 */
import { Hono } from "hono";
import { CatgaError, type Logger } from "../index.ts";
import { atOnce, checking, perSecond, plainUrls } from "./admission.ts";
import { bodyOf } from "./answer.ts";
import { authenticatedBy } from "./auth.ts";
import { addClusterRoutes } from "./cluster-routes.ts";
import { Drain, heldBy } from "./drain.ts";
import type { Authenticate, Authorize, Edge, GatewayCluster, Told } from "./edge.ts";
import { addEntityRoutes } from "./entities.ts";
import { EventStreams } from "./event-stream.ts";
import { addEventRoutes } from "./events.ts";
import { withHeaders } from "./headers.ts";
import { addHealthRoutes } from "./health.ts";
import { type GatewayLimits, limitsOf } from "./limits.ts";
import { addMessageRoutes } from "./messages.ts";
import { addMetricsRoute } from "./metrics.ts";
import { addOpenApiRoute, type OpenApiInfo } from "./openapi.ts";
import { actsOfOwnPages, type CorsOptions, permitting } from "./origins.ts";
import { Places } from "./places.ts";
import { answerError } from "./problem.ts";
import type { EdgeSchema } from "./schema.ts";
import { addSocketRoute, type Upgrade } from "./socket.ts";
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
  /**
   * `upgradeWebSocket` of `hono/bun`, or on Node.js and Deno of `@hono/node-server`, which adds
   * `/socket`: send, tell and watch over one connection. `listen` with `webSocket: true`.
   */
  readonly webSocket?: Upgrade;
  /** Which pages of other sites may use it. @default none */
  readonly cors?: CorsOptions;
  /** How much it takes; what is not given has its default. */
  readonly limits?: Partial<GatewayLimits>;
  /** What `/openapi.json` says of itself. */
  readonly openapi?: OpenApiInfo;
  /** Hears of failures that callers are not told, with the request id they are told. */
  readonly log?: Logger;
}

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
  const limits = limitsOf(options.limits);
  const exposed = exposedBy(options.expose);
  const drain = new Drain(cluster);
  const edge: Edge = { cluster, exposed, log, management, authorize, drain, limits };
  const app = new Hono<Told>();
  app.onError((error, c) => answerError(error, c, log));
  app.use(withHeaders());
  if (options.cors !== undefined) app.use(permitting(options.cors));
  app.use(checking(plainUrls(limits), actsOfOwnPages(options.cors?.origins)));
  addHealthRoutes(app, edge, auth);
  app.use(heldBy(drain, cluster.nodeId, limits.requestsMax));
  // What it costs to find out who asks is bounded too, so there is a limit before it.
  if (auth !== undefined) app.use(authenticatedBy(auth), atOnce(limits.requestsPerIdentityMax));
  const { requestsPerSecondMax } = limits;
  if (requestsPerSecondMax !== Infinity) app.use(perSecond(requestsPerSecondMax));
  addMetricsRoute(app, edge);
  const body = bodyOf(limits.bodyBytesMax);
  addEntityRoutes(app, edge, ...body);
  addMessageRoutes(app, edge, ...body);
  const places = new Places(limits);
  const streams = new EventStreams(drain, places);
  addWatchRoutes(app, edge, streams);
  addEventRoutes(app, edge, streams);
  addClusterRoutes(app, edge);
  const { webSocket: upgrade } = options;
  if (upgrade !== undefined) addSocketRoute(app, edge, { upgrade, places });
  addOpenApiRoute(app, edge, { info: options.openapi, hasAuth: auth !== undefined });
  app.all("*", (c) => {
    throw new CatgaError("NOT_FOUND", { path: new URL(c.req.url).pathname });
  });
  return app;
}
