/**
 * The edge: a cluster's entities over HTTP, as an app to be mounted in another.
 *
 *   POST /entities/:name/:id/:type    sends; 200 with the reply, 204 without one
 *                                     `Prefer: respond-async` tells instead; 202
 *   GET  /entities/:name/:id/:type    queries only
 *   GET  /cluster/nodes  /cluster/owner/:name/:id  /healthz/live
 *
 * Nothing is reachable that is not exposed. Every other path answers 404 here, so routes of the
 * surrounding app come before it. A request of which the caller hangs up gives up waiting.
 */
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { requestId } from "hono/request-id";
import { secureHeaders } from "hono/secure-headers";
import { type AnyEntity, CatgaError, type ClusterOf, type Logger } from "../index.ts";
import { payloadOfBody, payloadOfQuery } from "./payload.ts";
import { answerError, answerProblem, Refusal } from "./problem.ts";
import { type Exposed, exposedBy, messageTargetOf, targetOf } from "./target.ts";

/** What the edge needs of a cluster. */
export type GatewayCluster = Pick<ClusterOf<AnyEntity>, "entity" | "nodes" | "owner">;

/** Options of {@link gateway}. */
export interface GatewayOptions {
  /** The entity types that may be reached, with all their messages. */
  readonly expose: readonly AnyEntity[];
  /** Hears of failures that callers are not told, with the request id they are told. */
  readonly log?: Logger;
}

/** A body may have so many bytes: far above what a message needs, far below what hurts. */
const BODY_BYTES_MAX = 262_144;
const MESSAGE_PATH = "/entities/:name/:id/:type";
const OWNER_PATH = "/cluster/owner/:name/:id";
const CLUSTER_PATHS = ["/cluster/nodes", OWNER_PATH, "/healthz/live"];

interface Kept {
  readonly Variables: { signal: AbortSignal };
}

const HEADERS = {
  contentSecurityPolicy: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
  // It binds whole domains: whoever ends TLS decides on it.
  strictTransportSecurity: false,
};

/**
 * Makes the app that serves `cluster`.
 *
 * @example
 * const app = new Hono().route("/", gateway(cluster, { expose: [Account] }));
 * await listen(app, { port: 3000 });
 * @throws {TypeError} when `expose` is no list of entity types, or one is there twice.
 */
export function gateway(cluster: GatewayCluster, options: GatewayOptions): Hono {
  const exposed = exposedBy(options.expose);
  const app = new Hono();
  app.onError((error, c) => answerError(error, c, options.log));
  app.use(requestId(), secureHeaders(HEADERS), neverStored);
  addEntityRoutes(app, cluster, exposed);
  addClusterRoutes(app, cluster, exposed);
  app.all("*", (c) => {
    throw new CatgaError("NOT_FOUND", { path: new URL(c.req.url).pathname });
  });
  return app;
}

function addEntityRoutes(app: Hono, cluster: GatewayCluster, exposed: Exposed): void {
  app.post(MESSAGE_PATH, keepSignal, limitBody(), async (c) => {
    const { entity, id, type } = messageTargetOf(c.req, exposed);
    const signal = c.get("signal");
    const message = { ...(await payloadOfBody(c.req)), type };
    const ref = cluster.entity(entity, id);
    if (!prefersAsync(c)) return reply(c, await ref.send(message, { signal }));
    await ref.tell(message, { signal });
    c.header("Preference-Applied", "respond-async");
    return c.body(null, 202);
  });
  app.get(MESSAGE_PATH, async (c) => {
    const { entity, id, type, kind } = messageTargetOf(c.req, exposed);
    if (kind === "command") throw wrongMethod(c, "POST");
    const payload = payloadOfQuery(new URL(c.req.url).searchParams);
    const { signal } = c.req.raw;
    return reply(c, await cluster.entity(entity, id).send({ ...payload, type }, { signal }));
  });
  app.all(MESSAGE_PATH, (c) => {
    const { kind } = messageTargetOf(c.req, exposed);
    throw wrongMethod(c, kind === "command" ? "POST" : "GET, HEAD, POST");
  });
}

function addClusterRoutes(app: Hono, cluster: GatewayCluster, exposed: Exposed): void {
  app.get("/cluster/nodes", (c) => c.json(cluster.nodes));
  app.get(OWNER_PATH, (c) => {
    const { entity, id } = targetOf(c.req, exposed);
    const owner = cluster.owner(entity.name, id);
    if (owner === undefined) throw new CatgaError("UNAVAILABLE", { reason: "there is none now" });
    const endpoint = cluster.nodes.find(({ node }) => node === owner.node)?.endpoint;
    return c.json({ name: entity.name, id, ...owner, endpoint });
  });
  app.get("/healthz/live", (c) => c.json({ status: "live" }));
  app.on("ALL", CLUSTER_PATHS, (c) => {
    throw wrongMethod(c, "GET, HEAD");
  });
}

/** Answers are moments of a state that changes: no cache between may keep one. */
function neverStored(c: Context, next: () => Promise<void>): Promise<void> {
  c.header("Cache-Control", "no-store");
  return next();
}

/** A body without a length is read into another request, and on Node.js that one never aborts. */
function keepSignal(c: Context<Kept>, next: () => Promise<void>): Promise<void> {
  c.set("signal", c.req.raw.signal);
  return next();
}

function limitBody(): ReturnType<typeof bodyLimit> {
  const onError = (c: Context): Response => {
    // Without a length all that is known is that there is more.
    const bytes = Number(c.req.header("Content-Length") ?? BODY_BYTES_MAX + 1);
    const details = { what: "body", bytes, bytesMax: BODY_BYTES_MAX };
    return answerProblem(c, new CatgaError("TOO_LARGE", details));
  };
  return bodyLimit({ maxSize: BODY_BYTES_MAX, onError });
}

/** RFC 7240, section 4.1; the header may name several preferences. */
function prefersAsync(c: Context): boolean {
  const preferences = (c.req.header("Prefer") ?? "").split(",");
  return preferences.some((preference) => /^\s*respond-async\s*(?:;|$)/i.test(preference));
}

function reply(c: Context, value: unknown): Response {
  return value === undefined ? c.body(null, 204) : c.json(value);
}

function wrongMethod(c: Context, allowed: string): Refusal {
  c.header("Allow", allowed);
  const details = { what: "request", reason: `${c.req.method} is not among ${allowed}` };
  return new Refusal(new CatgaError("MALFORMED", details), 405);
}
