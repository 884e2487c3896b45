/** Brokers with TLS and an authority of their own, and several servers of which some are away. */
import { afterEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect } from "@nats-io/transport-node";
import { Redis } from "ioredis";
import { nats } from "../../src/drivers/nats/index.ts";
import { redis } from "../../src/drivers/redis/index.ts";
import { Cluster, isCatgaError } from "../../src/index.ts";
import type { Driver } from "../../src/ports/driver.ts";
import { allOwn, askAll, join, placeAt, stopAll as stopAllNodes } from "./broker-nodes.ts";
import { brokersAreWanted } from "./broker-process.ts";
import { certificateFor } from "./certificate-files.ts";
import { natsWith, redisWith } from "./certificates.ts";
import { openBucket, settledRedis } from "./fixtures.ts";
import { serve, stopAll } from "./nats-nodes.ts";
import { freePort } from "./port.ts";
import { serveRedis, stopRedis } from "./redis-servers.ts";

afterEach(async () => {
  await stopAll();
  await stopRedis();
});

/** Two nodes meet and talk; the server is started again; they go on with what they had. */
async function talkAcrossARestart(
  transport: Driver,
  server: { kill(): Promise<void>; resume(): Promise<void> },
): Promise<void> {
  const place = placeAt(transport);
  if (transport.name === "nats") await openBucket(transport, place.name);
  const nodes = [await join(place, "a"), await join(place, "b")];
  await allOwn(nodes);
  const before = await askAll(nodes[0]!);
  await server.kill();
  await server.resume();
  const after = await askAll(nodes[1]!);
  expect(after.map(({ copy }) => copy)).toEqual(before.map(({ copy }) => copy));
}

/** The code and the text of the error with which a node cannot join. */
async function refusalOf(transport: Driver): Promise<string> {
  const error: unknown = await Cluster.start({ transport }).catch((each: unknown) => each);
  return isCatgaError(error) ? error.message : `no error of ours: ${String(error)}`;
}

describe.if(brokersAreWanted())("a NATS server with TLS", () => {
  test("carries a cluster, by its authority's certificate", async () => {
    const certificate = certificateFor();
    const server = await serve(natsWith(certificate));
    const at = `tls://localhost:${server.port}`;
    const transport = nats({ servers: at, tls: { caFile: certificate.cert } });
    await talkAcrossARestart(transport, server);
  }, 30_000);

  test("is refused under another authority, or none, or another name", async () => {
    const certificate = certificateFor();
    const { port } = await serve(natsWith(certificate));
    const at = `tls://localhost:${port}`;
    const address = `Cannot reach the broker at localhost:${port}: `;
    const stranger = nats({ servers: at, tls: { caFile: certificateFor().cert } });
    expect(await refusalOf(stranger)).toStartWith(address);
    expect(await refusalOf(stranger)).toMatch(/certificate|CERT/i);
    expect(await refusalOf(nats(at))).toMatch(/certificate|CERT/i);
    const caFile = certificate.cert;
    const elsewhere = nats({ servers: `tls://127.0.0.2:${port}`, tls: { caFile } });
    expect(await refusalOf(elsewhere)).toStartWith("Cannot reach the broker at 127.0.0.2");
    const missing = nats({ servers: at, tls: { caFile: "/nowhere/ca.pem" } });
    expect(await refusalOf(missing)).toContain("/nowhere/ca.pem");
  });
});

describe.if(brokersAreWanted())("a Redis server with TLS", () => {
  test("carries a cluster, by its authority's certificate", async () => {
    const certificate = certificateFor();
    const port = await freePort();
    const server = await serveRedis(...redisWith(certificate, port));
    const tls = { ca: readFileSync(certificate.cert) };
    await talkAcrossARestart(
      settledRedis(server, { url: `rediss://localhost:${port}`, tls }),
      server,
    );
  }, 30_000);

  test("is refused under another authority, or none, or without TLS", async () => {
    const certificate = certificateFor();
    const port = await freePort();
    await serveRedis(...redisWith(certificate, port));
    const url = `rediss://localhost:${port}`;
    const stranger = redis({ url, tls: { ca: readFileSync(certificateFor().cert) } });
    expect(await refusalOf(stranger)).toStartWith(`Cannot reach the broker at localhost:${port}: `);
    expect(await refusalOf(stranger)).toMatch(/certificate|CERT/i);
    expect(await refusalOf(redis(url))).toMatch(/certificate|CERT/i);
    expect(await refusalOf(redis(`redis://localhost:${port}`))).toStartWith("Cannot reach");
  });
});

test.if(brokersAreWanted())(
  "of several NATS servers one that is there is enough",
  async () => {
    const server = await serve();
    const away = `nats://127.0.0.1:${await freePort()}`;
    // The client tries them in an order of its own.
    for (let round = 0; round < 4; round++) {
      await talkAcrossARestart(nats({ servers: [away, server.url] }), server);
      await stopAllNodes();
    }
  },
  60_000,
);

describe.if(brokersAreWanted())("a client that is somebody's own is left open", () => {
  test("of NATS, also after a node that could not join", async () => {
    const server = await serve("# no-jetstream");
    const connection = await connect({ servers: server.url.slice(7) });
    expect(await refusalOf(nats({ connection }))).toStartWith("Cannot use the broker");
    expect(connection.isClosed()).toBe(false);
    await connection.close();
  });

  test("of Redis, and goes on to work", async () => {
    const server = await serveRedis();
    const client = new Redis({ port: server.port });
    await client.set("mine", "1");
    const place = placeAt(settledRedis(server, { client }));
    const nodes = [await join(place, "a"), await join(place, "b")];
    await allOwn(nodes);
    await askAll(nodes[0]!);
    await Promise.all(nodes.map((node) => node.stop()));
    expect([client.status, await client.get("mine")]).toEqual(["ready", "1"]);
    client.disconnect();
  });
});
