/** The proxy of the fault tests does to bytes what it says, and counts it. */
import { afterEach, expect, test } from "bun:test";
import { once } from "node:events";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { waitUntil } from "../contracts/wait-until.ts";
import { freePort } from "./port.ts";
import { Proxy } from "./proxy.ts";

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** An echo behind a proxy. */
async function echo(): Promise<Proxy> {
  const port = await freePort();
  const server: Server = createServer((socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const proxy = await Proxy.to(port);
  closing.push(
    () => server.close(),
    () => proxy.close(),
  );
  return proxy;
}

/** A client, what it has heard, and how it ended. */
interface Client {
  readonly socket: Socket;
  heard: string;
  ended: string;
}

async function connect({ port }: Proxy): Promise<Client> {
  const socket = createConnection({ host: "127.0.0.1", port });
  const client: Client = { socket, heard: "", ended: "" };
  socket.on("data", (bytes) => (client.heard += String(bytes)));
  socket.on("error", (error: NodeJS.ErrnoException) => (client.ended = String(error.code)));
  socket.on("close", () => (client.ended ||= "closed"));
  closing.push(() => socket.destroy());
  await once(socket, "connect");
  return client;
}

/** Says `text`, and waits until all that was said comes back. */
async function talk(client: Client, text: string): Promise<void> {
  const wanted = client.heard + text;
  client.socket.write(text);
  await waitUntil(`"${wanted}" comes back`, () => client.heard === wanted);
}

test("passes everything on, and the end of a connection", async () => {
  const proxy = await echo();
  const client = await connect(proxy);
  await talk(client, "one");
  client.socket.end();
  await waitUntil("it ends", () => client.ended === "closed");
  expect(proxy.spoilt).toEqual({ ended: 0, refused: 0, swallowed: 0, late: 0 });
});

test("cuts and resets the connections that are there, each counted once", async () => {
  const proxy = await echo();
  for (const [how, what] of [
    ["destroy", "closed"],
    ["resetAndDestroy", "ECONNRESET"],
  ] as const) {
    const client = await connect(proxy);
    await talk(client, how);
    proxy.end(how);
    await waitUntil("it ends", () => client.ended !== "");
    expect(client.ended).toBe(what);
  }
  expect(proxy.spoilt.ended).toBe(2);
});

test("refuses until it accepts", async () => {
  const proxy = await echo();
  proxy.refuse();
  const refused = await connect(proxy);
  await waitUntil("it is hung up on", () => refused.ended !== "");
  proxy.accept();
  await talk(await connect(proxy), "taken");
  expect(proxy.spoilt.refused).toBe(1);
});

test.each(["both", "toServer", "toClient"] as const)(
  "swallows %s on old connections, which stay open, and not on new ones",
  async (way) => {
    const proxy = await echo();
    const deaf = await connect(proxy);
    await talk(deaf, "before");
    proxy.deafen(way);
    deaf.socket.write("lost");
    await waitUntil("it is swallowed", () => proxy.spoilt.swallowed === "lost".length);
    await talk(await connect(proxy), "another");
    expect([deaf.heard, deaf.ended]).toEqual(["before", ""]);
  },
);

test("holds bytes back, and lets them go in their order", async () => {
  const proxy = await echo();
  const client = await connect(proxy);
  await talk(client, "a");
  proxy.delay(Number.POSITIVE_INFINITY);
  for (const text of ["b", "c"]) client.socket.write(text);
  await waitUntil("they wait", () => proxy.spoilt.late === 2);
  expect(client.heard).toBe("a");
  proxy.delay(5);
  await waitUntil("they come", () => client.heard === "abc");
  for (const text of ["d", "e"]) await talk(client, text);
  expect(proxy.spoilt.late).toBeGreaterThan(4);
});

test("blocks old and new connections, which end when it is over", async () => {
  const proxy = await echo();
  const before = await connect(proxy);
  proxy.block();
  const during = await connect(proxy);
  for (const { socket } of [before, during]) socket.write("lost");
  await waitUntil("both are swallowed", () => proxy.spoilt.swallowed === 2 * "lost".length);
  proxy.unblock();
  await waitUntil("both end", () => before.ended !== "" && during.ended !== "");
  await talk(await connect(proxy), "well");
});
