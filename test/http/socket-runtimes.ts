/**
 * Serves sockets and speaks with them; for every runtime. It prints one line and exits with 0, or
 * fails.
 */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import process from "node:process";
import { Hono } from "hono";
import { WebSocket } from "ws";
import { gateway, listen } from "../../src/http/index.ts";
import { Cluster, command, defineCommand, defineEntity, defineEvent } from "../../src/index.ts";
import { handler, query } from "../../src/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";

const Said = defineEvent<{ text: string }>("said");
/** Where `pass` waits. */
const entered = Promise.withResolvers<void>();
const opened = Promise.withResolvers<void>();
const Room = defineEntity("room", {
  messages: {
    say: command<{ text: string }, number>(),
    wait: command(),
    pass: command<void, number>(),
    count: query<void, number>(),
    flood: command(),
  },
  state: () => ({ count: 0 }),
  handlers: {
    say(ctx, { text }) {
      ctx.push(Said({ text }));
      return ++ctx.state.count;
    },
    wait: (ctx) => new Promise<void>((_, end) => ctx.signal.addEventListener("abort", end)),
    pass: () => {
      entered.resolve();
      return opened.promise.then(() => 7);
    },
    count: (ctx) => ctx.state.count,
    flood: (ctx) => {
      for (let n = 0; n < 500; n++) ctx.push(Said({ text: "x".repeat(100_000) }));
    },
  },
});
const Hidden = defineEntity("hidden", {
  messages: { ping: query<void, number>() },
  state: () => ({}),
  handlers: { ping: () => 1 },
});
const Double = defineCommand<{ n: number }, number>("double", {
  idempotency: { key: "n", window: "10m" },
});

const isBun = "bun" in process.versions;
const { upgradeWebSocket } = isBun ? await import("hono/bun") : await import("@hono/node-server");
const cluster = await Cluster.start({
  transport: "memory",
  entities: [Room, Hidden],
  handlers: [handler(Double, ({ n }) => 2 * n)],
});
const app = gateway(cluster, {
  expose: [Room, Double],
  webSocket: upgradeWebSocket,
  auth: (request) => {
    const name = request.headers.get("Authorization");
    return name === null ? undefined : { subject: name };
  },
  authorize: ({ subject }, { action, id }) =>
    subject === "ada" || (action === "query" && id !== "9"),
});
const served = new Hono().route("/", app);
const few = gateway(cluster, {
  expose: [Room],
  webSocket: upgradeWebSocket,
  limits: { streamsMax: 1 },
});
const { url, port, close } = await listen(
  { "/": served, "/below": app, "/few": few },
  { port: 0, webSocket: true },
);

/** A caller, with what it was told. */
class Caller {
  readonly heard: { id: unknown; [field: string]: unknown }[] = [];
  closed: number | undefined;
  readonly socket: WebSocket;

  constructor(headers: Record<string, string> = { Authorization: "ada" }, path = "/socket") {
    this.socket = new WebSocket(url.replace("http", "ws") + path, { headers });
    this.socket.on("message", (data: Buffer) => this.heard.push(JSON.parse(data.toString())));
    this.socket.on("close", (code) => (this.closed = code));
    this.socket.on("error", () => {});
  }
  say(...messages: readonly (object | string)[]): void {
    for (const each of messages) {
      this.socket.send(typeof each === "string" ? each : JSON.stringify(each));
    }
  }
  /** What it was told next, so many in the order of their numbers. */
  async hears(count: number): Promise<Caller["heard"]> {
    const describe = (): unknown => [this.heard, this.closed];
    const all = (): boolean => this.heard.length >= count;
    await waitUntil(`${count} were heard`, all, { timeoutMs: 10_000, describe });
    return this.heard.splice(0, count).sort((a, b) => Number(a.id) - Number(b.id));
  }
  async opens(): Promise<this> {
    await waitUntil("it is open", () => this.socket.readyState === 1);
    return this;
  }
  async ends(): Promise<number | undefined> {
    await waitUntil("it is closed", () => this.closed !== undefined, { timeoutMs: 10_000 });
    return this.closed;
  }
}

// A socket takes a place of a stream, and gives it back.
const only = await new Caller({}, "/few/socket").opens();
equal(await new Caller({}, "/few/socket").ends(), 1013);
equal((await fetch(`${url}/few/watch/room/lobby`)).status, 429);
only.socket.close();
await only.ends();
await waitUntil("its place is free", async () => {
  const stream = await fetch(`${url}/few/watch/room/lobby`);
  await stream.body?.cancel();
  return stream.status === 200;
});

const room = { entity: "room", id: "lobby" };
const ada = await new Caller().opens();

// Calls, by entity and by name; each number has its answer.
ada.say(
  { id: 1, send: { ...room, type: "say", payload: { text: "a" } } },
  { id: 2, tell: { ...room, type: "say", payload: { text: "b" } } },
  { id: 3, send: { type: "double", payload: { n: 21 } } },
);
deepEqual(await ada.hears(3), [
  { id: 1, ok: true, reply: 1 },
  { id: 2, ok: true },
  { id: 3, ok: true, reply: 42 },
]);
ada.say({ id: 1, send: { ...room, type: "count" } });
deepEqual(await ada.hears(1), [{ id: 1, ok: true, reply: 2 }]);
const keyed = { ...room, type: "say", payload: { text: "once" }, key: "k-1" };
ada.say({ id: 1, send: keyed });
const [first] = await ada.hears(1);
ada.say({ id: 1, send: keyed });
deepEqual(await ada.hears(1), [first]);

// Problems are those of the routes.
ada.say(
  { id: 1, send: { entity: "hidden", id: "1", type: "ping" } },
  { id: 2, send: { ...room, type: "none" } },
  { id: 3, send: { entity: "room", id: "w", type: "wait", timeoutMs: 20 } },
  `{"id":4,"send":{"entity":"room","id":"1","type":"count","payload":{"__proto__":{"a":1}}}}`,
  { id: 5, send: { entity: "../room", id: "a/b", type: "say" } },
  { id: 6, watch: { entity: "hidden", id: "1" } },
  { id: 7, watch: { entity: "room", id: "\u0000" } },
  { id: 8, unwatch: 77 },
  { id: 9, send: { entity: "room" } },
  { id: 10, send: null },
  { id: 11 },
);
const codes = (await ada.hears(11)).map(({ id, ok: isOk, problem }) => {
  equal(isOk, false);
  return [id, (problem as { code: string }).code];
});
deepEqual(codes, [
  [1, "UNKNOWN_ENTITY"],
  [2, "UNKNOWN_MESSAGE"],
  [3, "CALL_TIMEOUT"],
  [4, "MALFORMED"],
  [5, "UNKNOWN_ENTITY"],
  [6, "UNKNOWN_ENTITY"],
  [7, "INVALID_ID"],
  [8, "MALFORMED"],
  [9, "MALFORMED"],
  [10, "MALFORMED"],
  [11, "MALFORMED"],
]);
for (const text of ["", "{", "[]", "1", "null", '{"id":"1"}', '{"id":1.5}', '{"id":-0.1}']) {
  ada.say(text);
  deepEqual((await ada.hears(1)).map(codeOf), [[null, "MALFORMED"]]);
}

// What no path, header or JSON text can hold is no failure of this side.
const deep = `${"[".repeat(60_000)}${"]".repeat(60_000)}`;
for (const [code, fields] of [
  ["INVALID_ID", `"entity":"room","id":"\\ud800","type":"count"`],
  ["INVALID_ID", `"entity":"room","id":"..","type":"count"`],
  ["MALFORMED", `"entity":"room","id":"1","type":"say","key":"a\\nb"`],
  ["MALFORMED", `"entity":"room","id":"1","type":"say","key":"\u20ac"`],
  ["MALFORMED", `"entity":"room","id":"1","type":"say","timeoutMs":{"toString":1,"valueOf":1}`],
] as const) {
  ada.say(`{"id":1,"send":{${fields}}}`);
  deepEqual((await ada.hears(1)).map(codeOf), [[1, code]]);
}
ada.say(`{"id":1,"send":{"entity":"room","id":"1","type":"say","payload":{"a":${deep}}}}`);
match(String((await ada.hears(1)).map(codeOf)), /MALFORMED|NOT_ENCODABLE|TOO_LARGE/);
ada.say(`{"id":1,"unwatch":${deep}}`);
deepEqual((await ada.hears(1)).map(codeOf), [[1, "MALFORMED"]]);

// A watch, until it is ended, and its number is taken meanwhile.
ada.say({ id: 5, watch: room });
const [begun, mark] = [await ada.hears(1), await ada.hears(1)];
deepEqual(begun, [{ id: 5, ok: true }]);
equal((mark[0]!["push"] as { missed: boolean }).missed, false);
ada.say({ id: 6, send: { ...room, type: "say", payload: { text: "c" } } });
const [pushed, answered] = await ada.hears(2);
deepEqual((pushed!["push"] as { message: object }).message, { type: "said", text: "c" });
equal(answered?.ok, true);
ada.say({ id: 5, send: { ...room, type: "count" } });
match(JSON.stringify(await ada.hears(1)), /"id":null.*is under way/);
ada.say({ id: 7, unwatch: 5 });
deepEqual(await ada.hears(1), [{ id: 7, ok: true }]);
ada.say({ id: 8, send: { ...room, type: "say", payload: { text: "d" } } });
deepEqual((await ada.hears(1))[0]?.id, 8);
deepEqual(ada.heard, []);

// Who may do less, may do as little here.
const bob = await new Caller({ Authorization: "bob" }, "/below/socket").opens();
bob.say(
  { id: 1, send: { ...room, type: "say", payload: { text: "x" } } },
  { id: 2, send: { ...room, type: "count" } },
  { id: 3, watch: room },
);
const may = (await bob.hears(3)).map((each) => (each["problem"] as { code?: string })?.code);
deepEqual(may, ["FORBIDDEN", undefined, "FORBIDDEN"]);

// Nobody who is not known, and no page of another site.
const refused = [
  new Caller({}),
  new Caller({ Authorization: "ada", Origin: "http://evil.example" }),
];
for (const each of refused) deepEqual([await each.ends(), each.heard], [1006, []]);
const own = new Caller({ Authorization: "ada", Origin: url });
await own.opens();
own.socket.close();
equal((await fetch(`${url}/socket`, { headers: { Authorization: "ada" } })).status, 426);

// Limits of one connection.
const busy = await new Caller().opens();
for (let id = 0; id < 65; id++)
  busy.say({ id, send: { entity: "room", id: `${id}`, type: "wait" } });
deepEqual((await busy.hears(1)).map(codeOf), [[64, "OVERLOADED"]]);
for (let id = 100; id < 201; id++) busy.say({ id, watch: { entity: "room", id: `${id}` } });
await waitUntil("one is refused", () => busy.heard.some(({ problem }) => problem !== undefined));
deepEqual(busy.heard.filter((each) => each["problem"] !== undefined).map(codeOf), [
  [200, "OVERLOADED"],
]);
busy.say("x".repeat(300_000));
ok([1006, 1009].includes((await busy.ends())!));
const binary = await new Caller().opens();
binary.socket.send(new Uint8Array(3));
equal(await binary.ends(), 1003);

// One who does not read is cut off, and the others hear on.
const deaf = connect(port, "127.0.0.1");
deaf.on("error", () => {});
await once(deaf, "connect");
const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13";
const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nAuthorization: ada";
deaf.write(`GET /socket HTTP/1.1\r\nHost: a\r\n${upgrade}\r\n${key}\r\n\r\n`);
await once(deaf, "data");
deaf.pause();
const text = JSON.stringify({ id: 1, watch: { entity: "room", id: "flood" } });
deaf.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]));
const watching = await new Caller().opens();
watching.say({ id: 1, watch: { entity: "room", id: "flood" } });
await watching.hears(2);
for (let n = 0; n < 3; n++) {
  ada.say({ id: 1, send: { entity: "room", id: "flood", type: "flood" } });
  await waitUntil("it was flooded", () => ada.heard.length > 0);
  await ada.hears(1);
}
let arrived = 0;
deaf.on("data", (data: Buffer) => (arrived += data.length));
const cut = once(deaf, "close");
deaf.resume();
await cut;
ok(arrived < 30_000_000, `${arrived} bytes waited for who did not read`);

// The node leaves: what was taken is answered, then everybody is told to go elsewhere.
ada.say({ id: 1, send: { ...room, type: "pass" } });
await entered.promise;
const left = cluster.stop();
await waitUntil("it leaves", async () => (await fetch(`${url}/healthz/ready`)).status === 503);
ada.say({ id: 2, send: { ...room, type: "count" } });
deepEqual((await ada.hears(1)).map(codeOf), [[2, "CLUSTER_STOPPED"]]);
opened.resolve();
deepEqual(await ada.hears(1), [{ id: 1, ok: true, reply: 7 }]);
equal(await ada.ends(), 1012);
await left;
await close();
console.log("The sockets hold");
process.exit(0);

function codeOf({ id, problem }: Caller["heard"][number]): unknown {
  return [id, (problem as { code: string }).code];
}
