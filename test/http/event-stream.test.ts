/** Streams of a gateway that are not read, are too many, or are told to go elsewhere. */
import { describe, expect, test } from "bun:test";
import { Hono } from "hono";
import { failureOf } from "../drivers/nodes.ts";
import { Drain } from "../../src/http/drain.ts";
import type { GatewayCluster, Told } from "../../src/http/edge.ts";
import { encodeEvent, EventStream, EventStreams } from "../../src/http/event-stream.ts";
import { limitsOf } from "../../src/http/limits.ts";
import { answerError } from "../../src/http/problem.ts";

const EVENT = encodeEvent({ event: "e", data: { text: "x".repeat(1_000) } });

/** A stream that nobody reads, and what became of it. */
function unread(socket?: { destroy(): void }) {
  const ends: string[] = [];
  const stream = new EventStream(socket, () => void ends.push("closed"));
  stream.begin(() => () => void ends.push("ended"));
  let written = 0;
  while (stream.write(EVENT) === undefined) written++;
  return { stream, ends, written };
}

describe("a stream that nobody reads", () => {
  test("takes no more than it has room for, and then makes who writes wait", () => {
    const { stream, written, ends } = unread();
    expect(written * EVENT.length).toBeLessThan(65_536);
    expect(written * EVENT.length).toBeGreaterThan(60_000);
    expect(stream.write(EVENT)).toBeInstanceOf(Promise);
    expect(ends).toEqual([]);
  });
  test("goes on when it is read", async () => {
    const { stream, ends } = unread();
    const room = stream.write(EVENT);
    const reader = stream.body.getReader();
    for (let n = 0; n < 5; n++) await reader.read();
    await room;
    stream.beat();
    stream.beat();
    stream.beat();
    expect(ends).toEqual([]);
    await reader.cancel();
    expect(ends).toEqual(["ended", "closed"]);
    expect(stream.write(EVENT)).toBeUndefined();
  });
  test("is cut off after a while, once", async () => {
    const { stream, ends } = unread();
    const room = stream.write(EVENT);
    stream.beat();
    expect(ends).toEqual([]);
    stream.beat();
    expect(ends).toEqual(["ended", "closed"]);
    await room;
    stream.drain();
    expect(stream.write(EVENT)).toBeUndefined();
    const why = await failureOf(stream.body.getReader().read());
    expect(String(why)).toContain("nobody reads");
  });
  test("is cut off at its socket, where that is known", () => {
    let destroyed = 0;
    const { stream } = unread({ destroy: () => void destroyed++ });
    stream.beat();
    stream.beat();
    expect(destroyed).toBe(1);
  });
});

describe("the streams of a gateway", () => {
  test("end with a word when it drains, and at once after that", async () => {
    const { drain, stop } = draining();
    const { app, streams } = served(new EventStreams(drain, limitsOf({})));
    const response = await app.request("/");
    expect(streams.count).toBe(1);
    const stopped = stop();
    expect(streams.count).toBe(0);
    await stopped;
    expect(await response.text()).toBe("retry: 1000\n\nevent: @drain\nretry: 1000\ndata: {}\n\n");
    const late = await app.request("/");
    expect(await late.text()).toEndWith("event: @drain\nretry: 1000\ndata: {}\n\n");
    expect(streams.count).toBe(0);
  });
  test("are as many as it allows", async () => {
    const { app, streams } = served(
      new EventStreams(draining().drain, limitsOf({ streamsMax: 2 })),
    );
    const responses = [await app.request("/"), await app.request("/")];
    expect((await app.request("/")).status).toBe(429);
    for (const response of responses) await response.body?.cancel();
    expect(streams.count).toBe(0);
    expect((await app.request("/", { method: "HEAD" })).status).toBe(200);
    expect(streams.count).toBe(0);
  });
});

/** A drain, and what its node does when it is told to stop. */
function draining() {
  let begin: (() => unknown) | undefined;
  const beforeStop = (run: () => unknown): (() => void) => {
    begin = run;
    return () => {};
  };
  const drain = new Drain({ beforeStop } as unknown as GatewayCluster);
  return { drain, stop: async () => begin?.() };
}

function served(streams: EventStreams) {
  const app = new Hono<Told>();
  app.onError((error, c) => answerError(error, c, undefined));
  app.get("/", (c) => streams.open(c, () => () => {}));
  return { app, streams };
}
