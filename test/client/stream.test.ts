import { describe, expect, test } from "bun:test";
import { isClientError, MISSED } from "../../src/client/index.ts";
import { defineContract, defineEvent, query } from "../../src/contract/index.ts";
import { failureOf } from "../drivers/nodes.ts";
import { type Asked, breaks, hangs, type Reaction, refuses, scripted } from "./scripted.ts";

const Room = defineContract("room", { lines: query<void, number>() });
const Said = defineEvent<{ text: string }>("room.said");
const URLS = ["http://one", "http://two"];
const BEGUN = "id: 0\nevent: @begun\ndata: {}\n\n";
const DRAIN = "event: @drain\nretry: 1000\ndata: {}\n\n";

/** An event stream of `chunks`; it ends after them, unless it is to stay open. */
function streams(chunks: readonly string[], end: "ends" | "stays" = "ends"): Reaction {
  return ({ signal }: Asked) => {
    const left = [...chunks];
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        signal.addEventListener("abort", () => controller.error(new Error("aborted")));
      },
      pull: (controller) => {
        const chunk = left.shift();
        if (chunk !== undefined) controller.enqueue(new TextEncoder().encode(chunk));
        else if (end === "ends") controller.close();
      },
    });
    return new Response(body, { headers: { "Content-Type": "text/event-stream; charset=utf-8" } });
  };
}

function said(id: number, text: string): string {
  return `id: ${id}\nevent: room.said\ndata: ${JSON.stringify({ type: "room.said", text })}\n\n`;
}

/** A stream that meets `reactions`, and what it has asked for. */
function watching(reactions: readonly Reaction[], options?: Parameters<typeof scripted>[1]) {
  const world = scripted(reactions, { url: URLS, ...options });
  const stream = world.api.entity(Room, "a b").watch({ events: [Said] });
  let isBegun = false;
  const take = async (): Promise<unknown> => {
    const { value, done } = await world.settled(stream.next());
    if (done === true) return "over";
    if (value !== MISSED) return (value as { text: string }).text;
    const isFirst = !isBegun;
    isBegun = true;
    return isFirst ? take() : "missed";
  };
  const takes = async (count: number): Promise<unknown[]> => {
    const items: unknown[] = [];
    while (items.length < count) items.push(await take());
    return items;
  };
  return { ...world, stream, take, takes };
}

describe("a stream", () => {
  test("gives what is pushed, however the bytes are cut, and nothing else", async () => {
    const text = `${BEGUN}:\n\n${said(1, "h\u00e9")}event: other\ndata: {}\n\n${said(2, "b")}`;
    for (const size of [1, 7, 1_000]) {
      const chunks = text.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
      const { takes, asked } = watching([streams(chunks, "stays")], { token: "t" });
      expect(await takes(2)).toEqual(["h\u00e9", "b"]);
      const [request] = asked;
      expect(request?.url).toBe("http://two/watch/room/a%20b?types=room.said");
      expect(request?.headers.get("Accept")).toBe("text/event-stream");
      expect(request?.headers.get("Authorization")).toBe("Bearer t");
      expect(request?.headers.get("Last-Event-ID")).toBeNull();
    }
  });
  test("takes events with the names of what the edge says for what they are", async () => {
    const names = ["begun", "missed", "drain", "retry"];
    const text = names.map((name) => `event: ${name}\ndata: {"n":1}\n\n`);
    const { api, settled } = scripted([streams([BEGUN, ...text, "event: @other\ndata: {}\n\n"])]);
    const stream = api.entity(Room, "a").watch();
    const items: unknown[] = [];
    while (items.length <= names.length) items.push((await settled(stream.next())).value);
    expect(items).toEqual([MISSED, ...names.map((type) => ({ type, n: 1 }))]);
  });
  test("asks for nothing before somebody reads", async () => {
    const { asked, take } = watching([streams([BEGUN, said(1, "a")])]);
    expect(asked).toEqual([]);
    expect(await take()).toBe("a");
  });
  test("of topics names their types, and begins with a mark", async () => {
    const { api, asked, settled } = scripted([streams([BEGUN, said(1, "a")])]);
    const stream = api.events([Said, "orders.paid"]);
    expect((await settled(stream.next())).value).toBe(MISSED);
    expect((await settled(stream.next())).value).toEqual({ type: "room.said", text: "a" });
    expect(asked[0]?.url).toBe("http://edge/events?types=room.said,orders.paid");
  });
});

describe("a stream that ends is taken up again", () => {
  test("after the last event, at the next edge, later and later, but once a minute", async () => {
    const failing = Array.from({ length: 8 }, () => breaks);
    const { takes, asked } = watching([
      streams([BEGUN, said(7, "a"), "event: other\ndata: {}\n\n"]),
      ...failing,
      streams([said(8, "b")]),
    ]);
    expect(await takes(2)).toEqual(["a", "b"]);
    const hosts = asked.map(({ url }) => new URL(url).host).slice(0, 3);
    expect(hosts).toEqual(["two", "one", "two"]);
    expect(asked.at(-1)?.headers.get("Last-Event-ID")).toBe("7");
    const times = asked.map(({ atMs }) => atMs);
    const waits = times.slice(1).map((atMs, index) => atMs - (times[index] ?? 0));
    // Three quarters of twice 500 ms, doubled each time, up to a minute.
    expect(waits).toEqual([750, 1_500, 3_000, 6_000, 12_000, 24_000, 45_000, 45_000, 45_000]);
  });
  test("after the id of its beginning, if nothing has come", async () => {
    const { take, asked } = watching([streams([BEGUN]), streams([said(1, "a")])]);
    expect(await take()).toBe("a");
    expect(asked[1]?.headers.get("Last-Event-ID")).toBe("0");
  });
  test("no sooner than the edge wants", async () => {
    const first = streams([`retry: 4000\n\n${BEGUN}`]);
    const { take, asked } = watching([first, streams([said(1, "a")])]);
    await take();
    expect(asked[1]?.atMs).toBe(6_000);
    const full = refuses(429, "OVERLOADED", { retryable: true, retryAfter: "7" });
    const refused = watching([full, streams([said(1, "a")])]);
    await refused.take();
    expect(refused.asked[1]?.atMs).toBe(7_750);
  });
  test("at once where the edge drains, but not round and round", async () => {
    const { take, asked } = watching([
      streams([BEGUN, DRAIN], "stays"),
      streams([DRAIN], "stays"),
      streams([said(1, "a")]),
    ]);
    expect(await take()).toBe("a");
    expect(asked.map(({ url }) => new URL(url).host)).toEqual(["two", "one", "two"]);
    expect(asked.map(({ atMs }) => atMs > 0)).toEqual([false, false, true]);
    expect(asked[0]?.signal.aborted).toBe(true);
  });
  test.each([
    ["is silent for fifteen seconds", streams([BEGUN], "stays")],
    ["is never answered", hangs],
  ])("when it %s", async (_, reaction) => {
    const { take, asked } = watching([reaction, streams([said(1, "a")])]);
    expect(await take()).toBe("a");
    expect(asked[0]?.signal.aborted).toBe(true);
    expect(asked[1]?.atMs).toBe(15_750);
  });
  test("but not while comments come", async () => {
    const beats = 5;
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    const { stream, asked, clock } = watching([
      () => {
        const body = new ReadableStream<Uint8Array>({
          start: (given) => void (controller = given),
        });
        return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
      },
    ]);
    const next = stream.next();
    for (let beat = 0; beat < beats; beat++) {
      await new Promise((resolve) => void setImmediate(resolve));
      clock.advance(14_000);
      controller?.enqueue(new TextEncoder().encode(":\n\n"));
    }
    controller?.enqueue(new TextEncoder().encode(said(1, "a")));
    expect((await next).value).toEqual({ type: "room.said", text: "a" });
    expect(asked).toHaveLength(1);
  });
  test("with a mark where events may be missing", async () => {
    const { takes } = watching([
      streams([BEGUN, said(1, "a")]),
      streams(["id: 5\nevent: @missed\ndata: {}\n\n", said(6, "b")]),
    ]);
    expect(await takes(3)).toEqual(["a", "missed", "b"]);
  });
});

describe("a stream is over", () => {
  test.each([
    ["what it may not see", refuses(403, "FORBIDDEN"), "FORBIDDEN"],
    ["what is not there", refuses(404, "UNKNOWN_ENTITY"), "UNKNOWN_ENTITY"],
    ["what is no stream", () => Response.json({}), "UNEXPECTED_ANSWER"],
    ["what is not JSON", streams(["event: room.said\ndata: {\n\n"]), "UNEXPECTED_ANSWER"],
    [
      "an event without an end",
      streams(Array(9).fill("data: ".padEnd(2 ** 20, "x"))),
      "UNEXPECTED_ANSWER",
    ],
  ])("after %s, and says so", async (_, reaction, code) => {
    const { take, asked } = watching([reaction, breaks]);
    const failure = await failureOf(take());
    expect(isClientError(failure, code)).toBe(true);
    expect([asked.length, await take()]).toEqual([1, "over"]);
  });
  test.each(["reading", "waiting"])("when its signal aborts, while %s", async (state) => {
    const leaving = new AbortController();
    const reaction = state === "reading" ? streams([":\n\n"], "stays") : breaks;
    const { api, asked, clock } = scripted([reaction]);
    const stream = api.entity(Room, "1").watch({ signal: leaving.signal });
    const next = stream.next();
    await until(() => asked.length === 1);
    leaving.abort();
    expect(await next).toEqual({ done: true, value: undefined });
    expect([asked[0]?.signal.aborted, clock.timerCount]).toEqual([true, 0]);
  });
  test("when its reader leaves, who waits or not", async () => {
    const { stream, asked, clock } = watching([streams([":\n\n"], "stays")]);
    const next = stream.next();
    await until(() => asked.length === 1);
    await stream.return?.();
    expect((await next).done).toBe(true);
    expect([asked[0]?.signal.aborted, clock.timerCount]).toEqual([true, 0]);

    const other = watching([streams([BEGUN, said(1, "a"), said(2, "b")], "stays")]);
    for await (const item of other.stream) {
      if (item === MISSED) continue;
      expect(item).toEqual({ type: "room.said", text: "a" });
      break;
    }
    expect(other.asked[0]?.signal.aborted).toBe(true);
  });
  test("before it has begun, where its signal had aborted", async () => {
    const { api, asked } = scripted([]);
    const stream = api.events([Said], { signal: AbortSignal.abort() });
    expect((await stream.next()).done).toBe(true);
    expect(asked).toEqual([]);
  });
});

/** Resolves when `holds` does, which needs no time but turns of the event loop. */
async function until(holds: () => boolean): Promise<void> {
  do await new Promise((resolve) => void setImmediate(resolve));
  while (!holds());
}
