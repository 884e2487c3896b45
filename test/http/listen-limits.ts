/**
 * Serves with small limits and several apps, and asks over sockets; for every runtime. It prints
 * one line and exits with 0, or fails.
 */
import { deepEqual, equal, match } from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import process from "node:process";
import { Hono } from "hono";
import { listen, type Problem } from "../../src/http/index.ts";

const isBun = "bun" in process.versions;
const cancelled = Promise.withResolvers<void>();
const aborted = Promise.withResolvers<void>();

/** Writes what nobody reads. */
const chunk = new Uint8Array(1_000_000);
const cancel = (): void => cancelled.resolve();
const stream = (): Response => {
  return new Response(new ReadableStream({ pull: (to) => to.enqueue(chunk), cancel }));
};
const shop = new Hono()
  .get("/where", (c) => c.text(`shop ${c.req.path}${new URL(c.req.url).search}`))
  .get("/stream", stream);
const admin = new Hono()
  .post("/length", async (c) => c.text(`${(await c.req.arrayBuffer()).byteLength}`))
  .get("/wait", (c) => {
    c.req.raw.signal.addEventListener("abort", () => aborted.resolve());
    return new Promise<Response>(() => {});
  })
  .all("*", (c) => c.text(`admin ${c.req.method} ${c.req.path}`));
const limits = {
  urlBytesMax: 1_000,
  bodyBytesMax: 5_000,
  headersBytesMax: 4_000,
  connectionsMax: 40,
  requestsPerConnectionMax: 3,
  unreadMsMax: 200,
};
const { url, port, close } = await listen({ "/": shop, "/admin": admin }, { port: 0, limits });

const texts = ["/where?a=1", "/admin", "/admin/", "/admin/x%2Fy", "/administrator", "/%61dmin"];
const texted = texts.map(async (path) => (await fetch(url + path)).text());
deepEqual(await Promise.all(texted), [
  "shop /where?a=1",
  "admin GET /",
  "admin GET /",
  "admin GET /x%2Fy",
  "404 Not Found",
  "404 Not Found",
]);
const post = { method: "POST", body: "x".repeat(4_000) };
equal(await (await fetch(`${url}/admin/length`, post)).text(), "4000");
const large = await fetch(`${url}/admin/length`, { ...post, body: "x".repeat(6_000) });
const tooLong = await fetch(`${url}/${"x".repeat(1_100)}`, { headers: { "X-Request-Id": "r-1" } });
equal(large.status, 413);
const refusals = [[tooLong, 414] as const];
// Bun refuses a body by itself.
if (!isBun) refusals.push([large, 413] as never);
for (const [refused, status] of refusals) {
  equal(refused.headers.get("Content-Type"), "application/problem+json");
  const { code, requestId } = (await refused.json()) as Problem;
  const given = refused.headers.get("X-Request-Id");
  deepEqual([refused.status, code, requestId], [status, "TOO_LARGE", given]);
}
equal(tooLong.headers.get("X-Request-Id"), "r-1");

// A request below a path aborts with the one that came.
const hangUp = new AbortController();
const hanging = fetch(`${url}/admin/wait`, { signal: hangUp.signal }).catch(() => "hung up");
const until = setInterval(() => hangUp.abort(), 100);
await aborted.promise;
clearInterval(until);
equal(await hanging, "hung up");

const long = "x".repeat(isBun ? 20_000 : 5_000);
const refused = await rawAnswer(`GET /where HTTP/1.1\r\nHost: a\r\nX: ${long}\r\n\r\n`);
match(refused, /^HTTP\/1.1 431 /);

const unread = await open();
unread.pause();
unread.write("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
if (!isBun) {
  await cancelled.promise;
  // The third request of a connection is its last one.
  const last = await rawAnswer("GET /where HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3));
  deepEqual(last.match(/^connection: close/gim)?.length, 1);
  // Whoever is beyond the limit of connections is closed without an answer.
  const sockets = await Promise.all(Array.from({ length: 60 }, open));
  const answers = sockets.map((socket) => {
    const answer = new Promise<boolean>((resolve) => {
      socket.once("data", () => resolve(true)).once("close", () => resolve(false));
    });
    socket.write("GET /where HTTP/1.1\r\nHost: a\r\n\r\n");
    return answer;
  });
  const served = (await Promise.all(answers)).filter(Boolean).length;
  deepEqual([served > 0, served <= limits.connectionsMax], [true, true]);
  for (const socket of sockets) socket.destroy();
}
unread.destroy();
await close();
console.log("The limits hold");
process.exit(0);

async function open(): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

async function rawAnswer(text: string): Promise<string> {
  const socket = await open();
  let answer = "";
  socket.on("data", (data) => (answer += String(data)));
  socket.write(text);
  await once(socket, "close");
  return answer;
}
