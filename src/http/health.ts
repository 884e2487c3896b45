/**
 * Whether this process lives, and whether it gets anywhere.
 *
 *   GET /healthz/live     200 while the process serves
 *   GET /healthz/ready    200 when the node gets on with its work, else 503 and what keeps it
 *
 * Both ask nobody who he is. Strangers hear no more than which checks have failed; whoever may
 * inspect the cluster hears how it is, with the names of what is stuck.
 */
import type { Context, Hono } from "hono";
import type { Health } from "../index.ts";
import { wrongMethod } from "./answer.ts";
import { type Authenticate, type Edge, guard, type Told } from "./edge.ts";

const READY = "/healthz/ready";
const RETRY_AFTER_SECONDS = "1";

/** Adds what strangers may ask; stands before the authentication. */
export function addHealthRoutes(
  app: Hono<Told>,
  { cluster, management, drain }: Edge,
  auth: Authenticate | undefined,
): void {
  app.get("/healthz/live", (c) => c.json({ status: "live" }));
  app.get(READY, async (c, next) => {
    const isStranger = auth !== undefined && c.req.header("Authorization") === undefined;
    const { isDraining } = drain;
    // Behind the authentication nothing is answered any more.
    if (!isStranger && management !== "off" && !isDraining) return next();
    const { ready, reasons } = cluster.health();
    return answerReady(c, { ready: ready && !isDraining, reasons }, isDraining);
  });
  app.on("ALL", ["/healthz/live", READY], async (c, next) => {
    if (!/^(?:GET|HEAD)$/.test(c.req.method)) throw wrongMethod(c, "GET, HEAD");
    await next();
  });
}

/** Adds what is told to those who may inspect the cluster; stands behind the authentication. */
export function addReadyRoute(app: Hono<Told>, edge: Edge): void {
  app.get(READY, async (c) => {
    await guard(c, edge, { action: "inspect" });
    return answerReady(c, edge.cluster.health());
  });
}

function answerReady(
  c: Context,
  health: Pick<Health, "ready"> & Partial<Health>,
  isDraining = false,
): Response {
  const status = isDraining ? "draining" : health.ready ? "ready" : "unready";
  if (!health.ready) c.header("Retry-After", RETRY_AFTER_SECONDS);
  return c.json({ status, ...health }, health.ready ? 200 : 503);
}
