/** Event streams over real sockets: what rooms push, and what is published. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createClient, MISSED } from "../../src/client/index.ts";
import { memory } from "../../src/drivers/memory/index.ts";
import type { ClusterOptions } from "../../src/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { brokersAreWanted } from "../drivers/broker-process.ts";
import { NatsServer } from "../drivers/nats-server.ts";
import { uniqueName } from "../drivers/port.ts";
import { type Came, Source } from "./event-source.ts";
import { Hidden, Room, say, type Site, site, Spoken } from "./live-room.ts";
import { refusalOf } from "./served.ts";

/** What came, as a test compares it. */
function shown(came: readonly Came[]): unknown[] {
  return came.map(({ event, data }) => (data as { n?: number }).n ?? event);
}

/** How the nodes of one cluster meet. */
type Meet = () => Pick<ClusterOptions<[]>, "transport" | "name">;

function watches(meet: Meet): void {
  test("tells what a room pushes, and goes on at another edge", async () => {
    const where = meet();
    await using first = await site({ ...where, nodeId: "n1" });
    await using second = await site({ ...where, nodeId: "n2" });
    const source = await Source.open(`${first.url}/watch/room/a%2Fb`);
    expect(await source.next()).toMatchObject({ event: "@begun", data: {} });
    await say(second, 1, "a/b");
    const heard = await source.next();
    expect(heard).toMatchObject({ event: "room.spoken", data: { type: "room.spoken", n: 1 } });
    source.close();
    await say(first, 2, "a/b");
    const headers = { "Last-Event-ID": heard!.id! };
    const again = await Source.open(`${second.url}/watch/room/a%2Fb`, headers);
    await say(first, 3, "a/b");
    expect(shown(await again.take(3))).toEqual(["@begun", 2, 3]);
    again.close();
    const odd = await Source.open(`${second.url}/watch/room/a%2Fb`, { "Last-Event-ID": "x\u00ff" });
    expect(shown(await odd.take(1))).toEqual(["@missed"]);
    odd.close();
  });

  test("loses nothing while rooms move", async () => {
    const where = meet();
    await using first = await site({ ...where, nodeId: "n1" });
    const rooms = Array.from({ length: 20 }, (_, n) => `r${n}`);
    const sources = await Promise.all(
      rooms.map((id) => Source.open(`${first.url}/watch/room/${id}`)),
    );
    for (const source of sources) expect(shown(await source.take(1))).toEqual(["@begun"]);
    let n = 0;
    const speak = async (): Promise<void> => {
      n++;
      await Promise.all(rooms.map((id) => say(first, n, id)));
    };
    await speak();
    const before = rooms.map((id) => first.cluster.owner("room", id)?.node);
    await using _ = await site({ ...where, nodeId: "n2" });
    await waitUntil("rooms have moved", async () => {
      await speak();
      return rooms.some((id, at) => first.cluster.owner("room", id)?.node !== before[at]);
    });
    await speak();
    for (const source of sources) {
      expect(shown(await source.take(n))).toEqual(Array.from({ length: n }, (__, at) => at + 1));
      source.close();
    }
  });
}

/** Believes everybody. */
function auth(request: Request): { subject: string } {
  return { subject: request.headers.get("X-User") ?? "nobody" };
}

describe("GET /watch/:name/:id in memory", () => {
  watches(() => ({ transport: memory() }));

  test("passes on events with the names of what it says itself", async () => {
    await using one = await site();
    const source = await Source.open(`${one.url}/watch/room/a`);
    const api = createClient({ url: one.url });
    const stream = api.entity(Room, "a").watch();
    expect((await stream.next()).value).toBe(MISSED);
    const names = ["begun", "missed", "drain"] as const;
    for (const as of names) await one.cluster.entity(Room, "a").send({ type: "say", n: 1, as });
    const came = await source.take(4);
    expect(came.map(({ event }) => event)).toEqual(["@begun", ...names]);
    for (const type of names) expect((await stream.next()).value).toEqual({ type, n: 1 });
    await stream.return?.();
    source.close();
  });

  test("is for what is exposed, and for GET", async () => {
    await using one = await site();
    expect(await refusalOf(await fetch(`${one.url}/watch/hall/a`))).toEqual([
      404,
      "UNKNOWN_ENTITY",
    ]);
    const posted = await fetch(`${one.url}/watch/room/a`, { method: "POST" });
    expect(posted.headers.get("Allow")).toBe("GET, HEAD");
    expect(await refusalOf(posted)).toEqual([405, "MALFORMED"]);
    const head = await fetch(`${one.url}/watch/room/a`, { method: "HEAD" });
    expect([head.status, head.headers.get("Content-Type")]).toEqual([200, "text/event-stream"]);
    expect(await refusalOf(await fetch(`${one.url}/watch/room/a%00`))).toEqual([400, "INVALID_ID"]);
  });

  test("is limited for all and for each, and who hangs up is forgotten", async () => {
    await using one = await site({}, { auth, limits: { streamsMax: 3, streamsPerIdentityMax: 2 } });
    const open = (user: string) => Source.open(`${one.url}/watch/room/a`, { "X-User": user });
    const status = async (user: string): Promise<unknown> => {
      const response = await fetch(`${one.url}/watch/room/a`, { headers: { "X-User": user } });
      if (response.status !== 200) return refusalOf(response);
      await response.body?.cancel();
      return "open";
    };
    const [first, second] = [await open("ann"), await open("ann")];
    expect(await status("ann")).toEqual([429, "OVERLOADED"]);
    const third = await open("bob");
    expect(await status("cid")).toEqual([429, "OVERLOADED"]);
    first.close();
    await waitUntil("there is room for her again", async () => (await status("ann")) === "open");
    for (const source of [second, third]) source.close();
  });
});

/** How `/events` refuses a list of types. */
async function types(one: Site, list: string): Promise<unknown> {
  return refusalOf(await fetch(`${one.url}/events?types=${list}`));
}

describe("GET /events", () => {
  test("tells what is published and what happens in the cluster, to all in one order", async () => {
    const transport = memory();
    await using one = await site({ transport, nodeId: "n1" });
    const url = `${one.url}/events?types=room.spoken,node-joined`;
    const sources = [await Source.open(url), await Source.open(url)];
    for (const source of sources) expect(shown(await source.take(1))).toEqual(["@begun"]);
    await one.cluster.publish(Spoken({ n: 1 }));
    await one.cluster.publish(Hidden({ n: 7 }));
    for (const source of sources) expect(shown(await source.take(1))).toEqual([1]);
    await using _ = await site({ transport, nodeId: "n2" });
    for (const source of sources) {
      const [joined] = await source.take(1);
      expect(joined).toMatchObject({ event: "node-joined", data: { node: "n2" } });
      source.close();
    }
  });

  test("goes on where another stream was, or says that it cannot", async () => {
    await using one = await site();
    const url = `${one.url}/events?types=room.spoken`;
    const source = await Source.open(url);
    await one.cluster.publish(Spoken({ n: 1 }));
    const [, last] = await source.take(2);
    source.close();
    await one.cluster.publish(Spoken({ n: 2 }));
    const from = (id: string) => Source.open(url, { "Last-Event-ID": id });
    const again = await from(last!.id!);
    expect(shown(await again.take(2))).toEqual(["@begun", 2]);
    again.close();
    for (const id of ["", "1", "x.1", `${last!.id!}0`, last!.id!.replace(/\d+$/, "-1")]) {
      const odd = await from(id);
      await one.cluster.publish(Spoken({ n: 3 }));
      expect(shown(await odd.take(2))).toEqual([id === "" ? "@begun" : "@missed", 3]);
      odd.close();
    }
    // Nobody has listened to that type before.
    const joined = await Source.open(`${url},node-joined`, { "Last-Event-ID": last!.id! });
    expect(shown(await joined.take(1))).toEqual(["@missed"]);
    joined.close();
    // More than is kept.
    for (let n = 0; n < 1_100; n++) await one.cluster.publish(Spoken({ n }));
    await waitUntil("the first is forgotten", async () => {
      const late = await from(last!.id!);
      const [mark] = shown(await late.take(1));
      late.close();
      return mark === "@missed";
    });
  });

  test("is for what is exposed, and for who manages", async () => {
    await using one = await site({}, { management: "off" });
    expect(await types(one, "room.hidden")).toEqual([404, "UNKNOWN_MESSAGE"]);
    expect(await types(one, "node-joined")).toEqual([404, "UNKNOWN_MESSAGE"]);
    expect(await types(one, "")).toEqual([400, "MALFORMED"]);
    expect(await types(one, Array.from({ length: 33 }, (_, n) => `t${n}`).join())).toEqual([
      400,
      "MALFORMED",
    ]);
    await using other = await site(
      {},
      { auth: () => ({ subject: "ann" }), authorize: () => false },
    );
    expect(await types(other, "room.spoken")).toEqual([403, "FORBIDDEN"]);
    await using read = await site();
    expect(await types(read, "room.spoken,constructor")).toEqual([404, "UNKNOWN_MESSAGE"]);
  });
});

describe.if(brokersAreWanted())("GET /watch/:name/:id over NATS", () => {
  let server: NatsServer;
  beforeAll(async () => void (server = await NatsServer.start()));
  afterAll(() => server.stop());
  watches(() => ({ transport: `nats://127.0.0.1:${server.port}`, name: uniqueName("watch") }));
});
