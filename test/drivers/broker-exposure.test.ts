/** A broker that strangers can reach is used, and said: in the log, and to whoever listens. */
import { afterEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { type Exposure, sayExposure } from "../../src/drivers/tcp/exposure.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { nats } from "../../src/drivers/nats/index.ts";
import { Cluster } from "../../src/index.ts";
import { Events } from "../../src/runtime/events.ts";
import { adopt, keepingLog, stopAll as stopNodes } from "./broker-nodes.ts";
import { brokersAreWanted } from "./broker-process.ts";
import { certificateFor } from "./certificate-files.ts";
import { natsWith, redisWith } from "./certificates.ts";
import { openBucket, settledRedis } from "./fixtures.ts";
import { serve, stopAll } from "./nats-nodes.ts";
import { freePort, uniqueName } from "./port.ts";
import { RedisServer } from "./redis-server.ts";
import type { Driver } from "../../src/ports/driver.ts";

/** An address of this machine at which others reach it; there may be none. */
const lan = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .find(({ internal, family }) => !internal && family === "IPv4")?.address;

const isReachable = brokersAreWanted() && lan !== undefined;
if (lan === undefined) console.warn("SKIPPED: servers on a network, because there is none");

const redisServers: RedisServer[] = [];

afterEach(async () => {
  await stopAll();
  for (const each of redisServers.splice(0)) await each.stop();
});

function farOf({ port }: { readonly port: number }): string {
  return `${lan}:${port}`;
}

async function serveRedis(...options: readonly string[]): Promise<RedisServer> {
  const bind = ["--bind", `127.0.0.1 ${lan}`, "--protected-mode", "no"];
  const server = await RedisServer.start(...bind, ...options);
  redisServers.push(server);
  return server;
}

/** What a node that joins by `driver` says of it: in its log, and to a listener that comes late. */
async function saidOf(driver: Driver): Promise<string[]> {
  const name = uniqueName("exposed");
  if (driver.name === "nats") await openBucket(driver, name);
  const log = keepingLog();
  const node = adopt(await Cluster.start({ transport: driver, name, log }));
  const said: string[] = [];
  node.on("unsafe", ({ what }) => said.push(what));
  await Promise.resolve();
  expect(log.lines.filter((line) => line.includes("over a network"))).toEqual(said);
  await stopNodes();
  return said;
}

const BARE = {
  address: "broker:1",
  hasLogin: false,
  hasTls: false,
} as const;

async function exposureOf(found: Exposure): Promise<string | undefined> {
  const said: string[] = [];
  await sayExposure(found, (what) => said.push(what));
  return said[0];
}

describe("a broker is exposed", () => {
  test.each([
    ["127.0.0.1"],
    ["127.8.9.1"],
    ["::1"],
    ["localhost"],
    ["0.0.0.0"],
    ["::ffff:127.0.0.1"],
  ])("not on %s", async (host) => {
    expect(await exposureOf({ ...BARE, hosts: [host] })).toBeUndefined();
  });

  test.each([["10.0.0.5"], ["192.168.1.2"], ["8.8.8.8"], ["fd00::2"], ["no-such-host.invalid"]])(
    "on %s, unless it asks who is there and nobody else can listen",
    async (host) => {
      const at = { ...BARE, hosts: ["localhost", host] };
      const both = await exposureOf(at);
      expect(both).toContain("broker:1 is used over a network without credentials, so whoever");
      expect(both).toContain("; and without TLS, so others");
      expect(await exposureOf({ ...at, hasLogin: true })).toContain("a network without TLS, so");
      const unknown = await exposureOf({ ...at, hasTls: true });
      expect(unknown).toContain("a network without credentials, so");
      expect(unknown).not.toContain("TLS");
      expect(await exposureOf({ ...at, hasLogin: true, hasTls: true })).toBeUndefined();
    },
  );

  test("not at a path", async () => {
    expect(await exposureOf({ ...BARE, hosts: [] })).toBeUndefined();
  });
});

test("what is unsafe is told once to each listener, whenever it comes", async () => {
  const events = new Events({ log: silentLogger, clock: systemClock });
  const heard: string[] = [];
  const listen = (who: string) => events.on("unsafe", ({ what }) => heard.push(`${who} ${what}`));
  listen("early");
  events.unsafe("x");
  events.unsafe("x");
  await Promise.resolve();
  expect(heard).toEqual(["early x"]);
  listen("late");
  listen("gone")();
  expect(heard).toEqual(["early x"]);
  await Promise.resolve();
  expect(heard).toEqual(["early x", "late x"]);
  events.unsafe("y");
  await Promise.resolve();
  expect(heard).toEqual(["early x", "late x", "early y", "late y"]);
});

describe.if(isReachable)("a NATS server on a network", () => {
  test("that anybody may use", async () => {
    const server = await serve("", "0.0.0.0");
    expect(await saidOf(nats(server.url))).toEqual([]);
    const far = farOf(server);
    const said = await saidOf(nats(`nats://${far}`));
    expect(said).toHaveLength(1);
    expect(said.join()).toContain(`${far} is used over a network without credentials`);
    expect(said.join()).toContain("; and without TLS");
  });

  test("that knows its users, in plain text and sealed", async () => {
    const login = { user: "a", pass: "hunter2" };
    const accounts = 'authorization { user: "a", password: "hunter2" }\n';
    const plain = await serve(accounts, "0.0.0.0");
    const at = farOf(plain);
    const said = await saidOf(nats({ servers: `nats://${at}`, ...login }));
    expect(said.join()).toContain("a network without TLS, so others may read");
    expect(said.join()).not.toContain("hunter2");
    const certificate = certificateFor(lan!);
    const sealed = await serve(accounts + natsWith(certificate), "0.0.0.0");
    const tls = { caFile: certificate.cert };
    const servers = `tls://${farOf(sealed)}`;
    expect(await saidOf(nats({ servers, tls, ...login }))).toEqual([]);
    const open = await serve(natsWith(certificate), "0.0.0.0");
    const nobody = nats({ servers: `tls://${farOf(open)}`, tls });
    expect((await saidOf(nobody)).join()).toContain("without credentials, so");
  });
});

describe.if(isReachable)("a Redis server on a network", () => {
  test("that anybody may use", async () => {
    const server = await serveRedis();
    expect(await saidOf(settledRedis(server))).toEqual([]);
    const said = await saidOf(settledRedis(server, { host: lan!, port: server.port }));
    expect(said).toHaveLength(1);
    expect(said.join()).toContain(`${lan}:${server.port} is used over a network without cred`);
  });

  test("that wants a password, in plain text and sealed", async () => {
    const certificate = certificateFor(lan!);
    const port = await freePort();
    const password = "hunter2";
    const server = await serveRedis("--requirepass", password, ...redisWith(certificate, port));
    const plain = await saidOf(settledRedis(server, { host: lan!, port: server.port, password }));
    expect(plain.join()).toContain("a network without TLS, so others may read");
    expect(plain.join()).not.toContain(password);
    const tls = { ca: readFileSync(certificate.cert) };
    const sealed = settledRedis(server, { url: `rediss://${lan}:${port}`, password, tls });
    expect(await saidOf(sealed)).toEqual([]);
  });
});
