/**
 * Starts a node with an edge and asks it over sockets; for runtimes without a test framework.
 *
 *   node test/http/edge-runtimes.ts
 *   deno run -A test/http/edge-runtimes.ts
 *   bun test/http/edge-runtimes.ts
 *
 * With NATS_URL the cluster meets there, else in memory. It prints one line and exits with 0, or
 * fails.
 */
import { deepEqual, equal, match, rejects } from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import process from "node:process";
import { Hono } from "hono";
import { gateway, listen } from "../../src/http/index.ts";
import {
  Cluster,
  command,
  defineEntity,
  defineEvent,
  isCatgaError,
  query,
} from "../../src/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { Source } from "./event-source.ts";

const Deposited = defineEvent<{ amount: number }>("account.deposited");
const Account = defineEntity("account", {
  messages: { deposit: command<{ amount: number }, number>(), balance: query<void, number>() },
  state: () => ({ balance: 0 }),
  handlers: {
    deposit: (ctx, { amount }) => {
      ctx.push(Deposited({ amount }));
      return (ctx.state.balance += amount);
    },
    balance: (ctx) => ctx.state.balance,
  },
});

// Over a broker the entities live on another node than the edge.
const broker = process.env["NATS_URL"] as `nats://${string}` | undefined;
const meeting = { transport: broker ?? "memory", name: `edge-${process.pid}` } as const;
const host = await Cluster.start({ ...meeting, entities: [Account] });
const cluster = broker === undefined ? host : await Cluster.start(meeting);
const app = new Hono().route(
  "/",
  gateway(cluster, { expose: [Account], limits: { streamsMax: 1 } }),
);
const { url, port, close } = await listen(app, { port: 0 });

const path = `${url}/entities/account/a%2Fb`;
const headers = { "Content-Type": "application/json" };
const deposit = { method: "POST", headers, body: '{"amount":10}' };
const deposited = await fetch(`${path}/deposit`, deposit);
deepEqual([deposited.status, await deposited.json()], [200, 10]);

const told = await fetch(`${path}/deposit`, {
  ...deposit,
  headers: { ...headers, Prefer: "respond-async" },
});
deepEqual([told.status, await told.text()], [202, ""]);

const balance = await fetch(`${path}/balance`);
deepEqual([balance.status, await balance.json()], [200, 20]);

const body = new Blob([new Uint8Array(300_000)]).stream();
const endless = { ...deposit, body, duplex: "half" };
const large = await fetch(`${path}/deposit`, endless);
deepEqual([large.status, await codeOf(large)], [413, "TOO_LARGE"]);

// Only one stream may be open: who hangs up is forgotten.
const watching = `${url}/watch/account/a%2Fb`;
for (let lastId = "", turn = 0; turn < 2; turn++) {
  const source = await openWhenFree(watching, lastId);
  equal((await source.next())?.event, "@begun");
  const busy = await fetch(watching);
  deepEqual([busy.status, await codeOf(busy)], [429, "OVERLOADED"]);
  await fetch(`${path}/deposit`, deposit);
  const came = await source.next();
  deepEqual(came?.data, { type: "account.deposited", amount: 10 });
  lastId = came?.id ?? "";
  source.close();
}
const events = await openWhenFree(`${url}/events?types=node-joined`);
equal((await events.next())?.event, "@begun");
events.close();

const unknown = await fetch(`${url}/entities/constructor/1/toString`);
equal(unknown.headers.get("Content-Type"), "application/problem+json");
deepEqual([unknown.status, await codeOf(unknown)], [404, "UNKNOWN_ENTITY"]);

const ready = await fetch(`${url}/healthz/ready`);
deepEqual([ready.status, ((await ready.json()) as { status: unknown }).status], [200, "ready"]);
const scraped = await (await fetch(`${url}/metrics`)).text();
// A node counts its own turns.
const deposits = /^catga_turns_total\{entity="account",message="deposit",outcome="ok"\} [1-9]\d*$/m;
equal(deposits.test(scraped), broker === undefined);
match(scraped, /^process_resident_memory_bytes \d+$/m);

await rejects(listen(app, { port }), (error) => isCatgaError(error, "PORT_TAKEN"));

// Neither a connection that says nothing nor one in the middle of a request holds up the end.
for (const text of ["", "GET / HTTP/1.1\r\nHost: a\r\n"]) {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  socket.write(text);
}
const beganMs = performance.now();
await close();
const closedMs = performance.now() - beganMs;
equal(closedMs < 3_000, true, `close() took ${closedMs} ms`);
await rejects(fetch(`${url}/healthz/live`));
await cluster.stop();
await host.stop();

const { bun, deno, node } = process.versions as Record<string, string | undefined>;
const runtime = bun ? `Bun ${bun}` : deno ? `Deno ${deno}` : `Node.js ${node}`;
console.log(`The edge serves on ${runtime}${broker === undefined ? "" : " over NATS"}`);
process.exit(0);

async function codeOf(response: Response): Promise<unknown> {
  return ((await response.json()) as { code: unknown }).code;
}

/** Opens a stream as soon as the one before is forgotten, with the second beat at the latest. */
async function openWhenFree(address: string, lastId = ""): Promise<Source> {
  let source: Source | undefined;
  await waitUntil(
    "a stream may be opened",
    async () => {
      const headers = lastId === "" ? {} : { "Last-Event-ID": lastId };
      source = await Source.open(address, headers).catch(() => undefined);
      return source !== undefined;
    },
    { timeoutMs: 15_000 },
  );
  return source!;
}
