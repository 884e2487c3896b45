/**
 * What entities push to those who watch them, as server-sent events.
 *
 *   GET /watch/:name/:id    `event:` is what was pushed; the first is `@begun`, or `@missed` where
 *                           something may have been missed. Last-Event-ID resumes, at any edge.
 */
import type { Hono } from "hono";
import type { WatchEvent } from "../index.ts";
import { wrongMethod } from "./answer.ts";
import { type Edge, guard, type Told } from "./edge.ts";
import { encodeEvent, type EventStreams, lastEventIdOf } from "./event-stream.ts";
import { targetOf } from "./target.ts";

const PATH = "/watch/:name/:id";

/** Adds the route. */
export function addWatchRoutes(app: Hono<Told>, edge: Edge, streams: EventStreams): void {
  /** All who watch an entity are given the same events. */
  const encoded = new WeakMap<WatchEvent, Uint8Array>();
  const encode = (event: WatchEvent): Uint8Array => {
    let bytes = encoded.get(event);
    if (bytes === undefined) encoded.set(event, (bytes = encodeEvent(serverEventOf(event))));
    return bytes;
  };
  app.get(PATH, async (c) => {
    const { entity, id } = targetOf(c.req, edge.exposed);
    await guard(c, edge, { action: "watch", entity: entity.name, id });
    const options = { after: lastEventIdOf(c) };
    return streams.open(c, (stream) =>
      edge.cluster.watch(entity, id, (event) => stream.write(encode(event)), options),
    );
  });
  app.all(PATH, (c) => {
    throw wrongMethod(c, "GET, HEAD");
  });
}

function serverEventOf({ id, message, missed }: WatchEvent): Parameters<typeof encodeEvent>[0] {
  if (message !== undefined) return { id, event: message.type, data: message };
  return { id, event: missed ? "@missed" : "@begun", data: {} };
}
