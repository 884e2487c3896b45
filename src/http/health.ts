/**
 * Whether this process lives, and whether it gets anywhere.
 *
 *   GET /healthz/live     200 while the process serves
 *   GET /healthz/ready    200 when the node gets on with its work, else 503 and what keeps it
 *
 * Both ask nobody who he is. Strangers hear no more than which checks have failed; whoever may
 * inspect the cluster hears how it is, with the names of what is stuck. No limit of requests holds
 * for either: whoever restarts what does not answer would do so under load.
 */
import type { Context, Hono } from "hono";
import type { Health } from "../index.ts";
import { wrongMethod } from "./answer.ts";
import { authenticatedBy } from "./auth.ts";
import { type Authenticate, type Edge, guard, type Told } from "./edge.ts";

const READY = "/healthz/ready";
const RETRY_AFTER_SECONDS = "1";
/** Who is told more at once: to find out who asks may cost something. */
const INSPECTIONS_MAX = 16;

/** Adds the routes; they stand before the limits, and before what ends when the node leaves. */
export function addHealthRoutes(app: Hono<Told>, edge: Edge, auth: Authenticate | undefined): void {
  const { cluster, management, drain } = edge;
  app.get("/healthz/live", (c) => c.json({ status: "live" }));
  let inspections = 0;
  app.get(READY, async (c, next) => {
    const isStranger = auth !== undefined && c.req.header("Authorization") === undefined;
    const { isDraining } = drain;
    const mayAsk = !isStranger && management !== "off" && inspections < INSPECTIONS_MAX;
    if (!mayAsk || isDraining) {
      const { ready, reasons } = cluster.health();
      return answerReady(c, { ready, reasons }, isDraining);
    }
    inspections++;
    try {
      return await next();
    } finally {
      inspections--;
    }
  });
  app.get(READY, authenticatedBy(auth), async (c) => {
    await guard(c, edge, { action: "inspect" });
    return answerReady(c, cluster.health());
  });
  app.on("ALL", ["/healthz/live", READY], async (c, next) => {
    if (!/^(?:GET|HEAD)$/.test(c.req.method)) throw wrongMethod(c, "GET, HEAD");
    await next();
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
