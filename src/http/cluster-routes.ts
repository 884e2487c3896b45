/**
 * How the cluster is.
 *
 *   GET /cluster/nodes                  the nodes that live
 *   GET /cluster/owner/:name/:id        who owns an entity
 */
import type { Hono } from "hono";
import { CatgaError } from "../index.ts";
import { wrongMethod } from "./answer.ts";
import { type Edge, guard, type Told } from "./edge.ts";
import { targetOf } from "./target.ts";

const OWNER_PATH = "/cluster/owner/:name/:id";
const PATHS = ["/cluster/nodes", OWNER_PATH];

/** Adds the routes, unless the gateway has no management. */
export function addClusterRoutes(app: Hono<Told>, edge: Edge): void {
  const { cluster, exposed, management } = edge;
  if (management === "off") return;
  app.get("/cluster/nodes", async (c) => {
    await guard(c, edge, { action: "inspect" });
    return c.json(cluster.nodes);
  });
  app.get(OWNER_PATH, async (c) => {
    const { entity, id } = targetOf(c.req, exposed);
    await guard(c, edge, { action: "inspect", entity: entity.name, id });
    const owner = cluster.owner(entity.name, id);
    if (owner === undefined) throw new CatgaError("UNAVAILABLE", { reason: "there is none now" });
    const endpoint = cluster.nodes.find(({ node }) => node === owner.node)?.endpoint;
    return c.json({ name: entity.name, id, ...owner, endpoint });
  });
  app.on("ALL", PATHS, (c) => {
    throw wrongMethod(c, "GET, HEAD");
  });
}
