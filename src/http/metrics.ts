/**
 * The figures of this node for Prometheus.
 *
 *   GET /metrics     what the node counts, and what its process takes
 *
 * Nothing is collected before somebody asks: then the node's figures are read once. Labels are
 * names that the program declares; of ids only those of the hottest entities, ten at most.
 */
import type { Hono } from "hono";
import type { Registry } from "prom-client";
import type { Figures } from "../index.ts";
import { wrongMethod } from "./answer.ts";
import { type Edge, type GatewayCluster, guard, type Told } from "./edge.ts";
import { ROWS } from "./figure-rows.ts";
import { loadPackage } from "./servers.ts";

/** Adds the route, unless the gateway has no management. */
export function addMetricsRoute(app: Hono<Told>, edge: Edge): void {
  if (edge.management === "off") return;
  let registry: Promise<Registry> | undefined;
  app.get("/metrics", async (c) => {
    await guard(c, edge, { action: "inspect" });
    const all = await (registry ??= createRegistry(edge.cluster));
    return c.text(await all.metrics(), 200, { "Content-Type": all.contentType });
  });
  app.on("ALL", ["/metrics"], (c) => {
    throw wrongMethod(c, "GET, HEAD");
  });
}

/** @throws {CatgaError} MISSING_PACKAGE */
async function createRegistry(cluster: GatewayCluster): Promise<Registry> {
  const prometheus = await loadPackage(
    "prom-client",
    () => import("prom-client"),
    "tell Prometheus",
  );
  const registry = new prometheus.Registry();
  prometheus.collectDefaultMetrics({ register: registry });
  // Asked for these, Bun walks through its whole heap, and nothing else goes on meanwhile.
  for (const part of ["total", "used", "available"]) {
    registry.removeSingleMetric(`nodejs_heap_space_size_${part}_bytes`);
  }
  // A registry asks all its metrics in one go: they share what the first one has read.
  let figures: Figures | undefined;
  const readOnce = (): Figures => {
    if (figures === undefined) queueMicrotask(() => (figures = undefined));
    return (figures ??= cluster.figures());
  };
  for (const [suffix, type, help, read] of ROWS) {
    const head = { name: `catga_${suffix}`, type, help };
    // The counters of the package only go up by steps, and its histograms by single values.
    const get = async (): Promise<object> => ({ ...head, values: read(readOnce()) });
    registry.registerMetric({ ...head, get } as never);
  }
  return registry;
}
