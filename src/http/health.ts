/**
 * Whether this process lives, and whether it gets anywhere.
 *
 *   GET /healthz/live     200 while the process serves
 */
import type { Hono } from "hono";
import { wrongMethod } from "./answer.ts";
import type { Told } from "./edge.ts";

/** Adds the routes, which ask nobody who he is. */
export function addHealthRoutes(app: Hono<Told>): void {
  app.get("/healthz/live", (c) => c.json({ status: "live" }));
  app.on("ALL", ["/healthz/live"], (c) => {
    throw wrongMethod(c, "GET, HEAD");
  });
}
