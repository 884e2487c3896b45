/**
 * Messages to entities.
 *
 *   POST /entities/:name/:id/:type    sends; 200 with the reply, 204 without one
 *                                     `Prefer: respond-async` tells instead; 202
 *   GET  /entities/:name/:id/:type    queries only, with an ETag
 */
import type { Hono } from "hono";
import { etag } from "hono/etag";
import { answerFresh, answerTaken, answerWith, type Body, wrongMethod } from "./answer.ts";
import { callOptionsOf, prefersAsync } from "./calling.ts";
import { type Edge, guard, type Told } from "./edge.ts";
import { fieldsOf } from "./json-schema.ts";
import { payloadOfBody, payloadOfQuery } from "./payload.ts";
import { messageTargetOf } from "./target.ts";

const PATH = "/entities/:name/:id/:type";

/** Adds the routes. */
export function addEntityRoutes(app: Hono<Told>, edge: Edge, ...body: Body): void {
  const { cluster, exposed } = edge;
  app.post(PATH, ...body, async (c) => {
    const target = messageTargetOf(c.req, exposed);
    const { entity, id, type, kind } = target;
    const action = kind === "query" ? kind : "send";
    await guard(c, edge, { action, entity: entity.name, id, message: type });
    const options = callOptionsOf(c, target, c.get("signal"));
    const message = { ...(await payloadOfBody(c.req)), type };
    const ref = cluster.entity(entity, id);
    if (!prefersAsync(c)) return answerWith(c, await ref.send(message, options));
    await ref.tell(message, options);
    return answerTaken(c);
  });
  app.get(PATH, etag(), async (c) => {
    const target = messageTargetOf(c.req, exposed);
    const { entity, id, type, kind } = target;
    if (kind !== "query") throw wrongMethod(c, "POST");
    await guard(c, edge, { action: "query", entity: entity.name, id, message: type });
    const payload = payloadOfQuery(
      new URL(c.req.url).searchParams,
      fieldsOf(entity.messages[type]!),
    );
    const options = callOptionsOf(c, target, c.req.raw.signal);
    const answer = await cluster.entity(entity, id).send({ ...payload, type }, options);
    return answerFresh(c, answer);
  });
  app.all(PATH, (c) => {
    const { kind } = messageTargetOf(c.req, exposed);
    throw wrongMethod(c, kind === "query" ? "GET, HEAD, POST" : "POST");
  });
}
