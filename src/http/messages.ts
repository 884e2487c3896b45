/**
 * Messages with a name of their own.
 *
 *   POST /messages/:type    sends to whoever handles it; 200 with the reply, 204 without one; one
 *                           with the route "broadcast" to all of them: 200 with the outcomes
 *   GET  /messages/:type    queries only, with an ETag
 */
import type { Hono } from "hono";
import { etag } from "hono/etag";
import { type AnyNamed, describeMessage, type Message } from "../index.ts";
import { answerFresh, answerTaken, answerWith, type Body, wrongMethod } from "./answer.ts";
import { callOptionsOf, prefersAsync } from "./calling.ts";
import { type Edge, guard, type Told } from "./edge.ts";
import { fieldsOf } from "./json-schema.ts";
import { payloadOfBody, payloadOfQuery } from "./payload.ts";
import { namedTargetOf } from "./target.ts";

const PATH = "/messages/:type";

/** Adds the routes. */
export function addMessageRoutes(app: Hono<Told>, edge: Edge, ...body: Body): void {
  const { cluster, exposed } = edge;
  app.post(PATH, ...body, async (c) => {
    const def = namedTargetOf(c.req, exposed);
    const called = describeMessage(def);
    const { kind, isBroadcast } = called;
    await guard(c, edge, { action: kind === "query" ? kind : "send", message: def.type });
    const options = callOptionsOf(c, called, c.get("signal"));
    const message = messageOf(def, await payloadOfBody(c.req));
    if (prefersAsync(c)) {
      await cluster.tell(message, options);
      return answerTaken(c);
    }
    if (isBroadcast) return answerWith(c, await cluster.broadcast(message, options));
    return answerWith(c, await cluster.send(message, options));
  });
  app.get(PATH, etag(), async (c) => {
    const def = namedTargetOf(c.req, exposed);
    if (def.kind !== "query") throw wrongMethod(c, "POST");
    await guard(c, edge, { action: "query", message: def.type });
    const message = messageOf(def, payloadOfQuery(new URL(c.req.url).searchParams, fieldsOf(def)));
    const options = callOptionsOf(c, describeMessage(def), c.req.raw.signal);
    return answerFresh(c, await cluster.send(message, options));
  });
  app.all(PATH, (c) => {
    const { kind } = namedTargetOf(c.req, exposed);
    throw wrongMethod(c, kind === "query" ? "GET, HEAD, POST" : "POST");
  });
}

// A message of any payload: its schema checks what came.
function messageOf(def: AnyNamed, payload: object | undefined): Message<object, unknown> {
  return (def as (payload?: object) => Message<object, unknown>)(payload);
}
