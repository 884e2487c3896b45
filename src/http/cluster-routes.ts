/**
 * How the cluster is.
 *
 *   GET /cluster/nodes                  the nodes that live
 *   GET /cluster/ring                   which part of the shards each node should own
 *   GET /cluster/owner/:name/:id        who owns an entity
 *   PUT /cluster/drain                  202, then the node hands over and leaves; `full` alone
 */
import type { Hono } from "hono";
import { CatgaError } from "../index.ts";
import { wrongMethod } from "./answer.ts";
import { type Edge, type GatewayCluster, guard, type Told } from "./edge.ts";
import { targetOf } from "./target.ts";

const OWNER_PATH = "/cluster/owner/:name/:id";
const PATHS = ["/cluster/nodes", "/cluster/ring", OWNER_PATH];

/** Adds the routes, unless the gateway has no management. */
export function addClusterRoutes(app: Hono<Told>, edge: Edge): void {
  const { cluster, exposed, management } = edge;
  if (management === "off") return;
  app.get("/cluster/nodes", async (c) => {
    await guard(c, edge, { action: "inspect" });
    return c.json(cluster.nodes);
  });
  app.get("/cluster/ring", async (c) => {
    await guard(c, edge, { action: "inspect" });
    return c.json(ringOf(cluster));
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
  if (management === "full") addDrainRoute(app, edge);
}

function addDrainRoute(app: Hono<Told>, edge: Edge): void {
  app.put("/cluster/drain", async (c) => {
    await guard(c, edge, { action: "drain" });
    edge.cluster.stop().catch((error: unknown) => {
      edge.log?.error({ requestId: c.get("requestId"), err: error }, "the node did not stop");
    });
    return c.body(null, 202);
  });
  app.all("/cluster/drain", (c) => {
    throw wrongMethod(c, "PUT");
  });
}

/** Of the shards that this node serves; of one that serves none, the nodes alone. */
function ringOf({ nodes, plan }: GatewayCluster): object {
  const { shardCount, moves, share } = plan({});
  const shares = nodes.map(({ node, endpoint, weight, state }) => {
    return { node, endpoint, weight, state, share: share[node] ?? 0 };
  });
  return { shardCount, moving: moves.length, nodes: shares };
}
