/** Streams of a client over sockets, at edges that go away. */
import { expect, test } from "bun:test";
import { createClient, MISSED } from "../../src/client/index.ts";
import { meeting } from "../drivers/nodes.ts";
import { Room, say, site, Spoken } from "../http/live-room.ts";

const LINES = 60;

test("who watches is told everything, in order, though one edge after the other goes", async () => {
  const { options } = await meeting();
  await using home = await site({ ...options, nodeId: "n0" });
  const first = await site({ ...options, nodeId: "n1" });
  const second = await site({ ...options, nodeId: "n2" });
  const api = createClient({ url: [first.url, second.url, home.url] });
  const heard: number[] = [];
  let marks = 0;
  for await (const item of api.entity(Room, "a").watch({ events: [Spoken] })) {
    if (item === MISSED) {
      marks++;
      await say(home, 0);
      continue;
    }
    heard.push(item.n);
    if (item.n === LINES / 3) await first[Symbol.asyncDispose]();
    if (item.n === (2 * LINES) / 3) await second[Symbol.asyncDispose]();
    if (item.n === LINES) break;
    // The next one is said while the stream is taken up elsewhere.
    await say(home, item.n + 1);
  }
  expect(marks).toBe(1);
  expect(heard).toEqual(Array.from({ length: LINES + 1 }, (_, n) => n));
}, 60_000);

test("topics begin anew at another edge, with a mark", async () => {
  const { options } = await meeting();
  await using home = await site({ ...options, nodeId: "n0" });
  const first = await site({ ...options, nodeId: "n1" });
  const ending = new AbortController();
  const { signal } = ending;
  const seen: (number | "mark")[] = [];
  const url = [home.url, first.url];
  const streams = [createClient({ url: first.url }), createClient({ url })];
  const [doomed, lasting] = streams.map((api) => api.events([Spoken], { signal }));
  for await (const item of lasting!) {
    if (item !== MISSED) {
      seen.push(item.n);
      break;
    }
    seen.push("mark");
    await home.cluster.publish(Spoken({ n: 1 }));
  }
  expect(seen).toEqual(["mark", 1]);
  expect((await doomed!.next()).value).toBe(MISSED);
  // What was published before may be under way to it.
  const rest = Array.fromAsync(doomed!);
  await first[Symbol.asyncDispose]();
  // Nobody is there any more; it goes on trying until it is told to end.
  ending.abort();
  await rest;
  expect((await doomed!.next()).done).toBe(true);
}, 60_000);
