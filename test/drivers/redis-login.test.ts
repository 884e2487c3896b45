/** The ways to prove to a Redis server who one is, each with what happens without it. */
import { afterEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import type { RedisOptions } from "../../src/drivers/redis/index.ts";
import { Cluster, isCatgaError } from "../../src/index.ts";
import { adopt, keepingLog, stopAll } from "./broker-nodes.ts";
import { brokersAreWanted } from "./broker-process.ts";
import { certificateFor } from "./certificate-files.ts";
import { redisWith } from "./certificates.ts";
import { settledRedis } from "./fixtures.ts";
import { freePort, uniqueName } from "./port.ts";
import type { RedisServer } from "./redis-server.ts";
import { serveRedis, stopRedis } from "./redis-servers.ts";

afterEach(async () => {
  await stopAll();
  await stopRedis();
});

/** `joined`, or the code of the error. No password is in it, nor in the log. */
async function outcomeOf(server: RedisServer, options: RedisOptions): Promise<string> {
  const log = keepingLog();
  const transport = settledRedis(server, options);
  try {
    adopt(await Cluster.start({ transport, name: uniqueName("login"), log }));
    return "joined";
  } catch (error) {
    expect([inspect(error, { depth: 20 }), ...log.lines].join(" ")).not.toContain("hunter2");
    return isCatgaError(error) ? error.code : `no code: ${String(error)}`;
  }
}

const RIGHTS = "on >p@ss:/w ~* &* +@all".split(" ");

describe.if(brokersAreWanted())("a server that asks for", () => {
  test("a user of its list, by options, and by the URL", async () => {
    const server = await serveRedis();
    await server.ask("ACL", "SETUSER", "a@b", "reset", ...RIGHTS);
    const { port } = server;
    const at = `127.0.0.1:${port}`;
    expect(await outcomeOf(server, { port, username: "a@b", password: "p@ss:/w" })).toBe("joined");
    expect(await outcomeOf(server, { url: `redis://a%40b:p%40ss%3A%2Fw@${at}` })).toBe("joined");
    const url = `redis://a%40b:hunter2@${at}`;
    expect(await outcomeOf(server, { url })).toBe("BROKER_REFUSED");
    // What the options say goes before the URL.
    expect(await outcomeOf(server, { url, password: "p@ss:/w" })).toBe("joined");
    const nobody = { port, username: "nobody", password: "hunter2" };
    expect(await outcomeOf(server, nobody)).toBe("BROKER_REFUSED");
  }, 15_000);

  test("a user and TLS, by a URL of rediss", async () => {
    const certificate = certificateFor();
    const port = await freePort();
    const server = await serveRedis(...redisWith(certificate, port));
    await server.ask("ACL", "SETUSER", "node", "reset", ...RIGHTS);
    const tls = { ca: readFileSync(certificate.cert) };
    const at = `localhost:${port}`;
    expect(await outcomeOf(server, { url: `rediss://node:p%40ss%3A%2Fw@${at}`, tls })).toBe(
      "joined",
    );
    const wrong = `rediss://node:hunter2@${at}`;
    expect(await outcomeOf(server, { url: wrong, tls })).toBe("BROKER_REFUSED");
    expect(await outcomeOf(server, { url: wrong })).toBe("BROKER_UNREACHABLE");
  }, 15_000);

  test("a certificate of the client's own", async () => {
    const certificate = certificateFor();
    const port = await freePort();
    const server = await serveRedis(...redisWith(certificate, port), "--tls-auth-clients", "yes");
    const [ca, key] = [readFileSync(certificate.cert), readFileSync(certificate.key)];
    const url = `rediss://localhost:${port}`;
    expect(await outcomeOf(server, { url, tls: { ca, cert: ca, key } })).toBe("joined");
    expect(await outcomeOf(server, { url, tls: { ca } })).toBe("BROKER_UNREACHABLE");
  }, 15_000);
});
