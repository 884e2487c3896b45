import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { createServer } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { Hono } from "hono";
import { gateway } from "../../src/http/index.ts";
import { listen } from "../../src/http/listen.ts";
import { loadPackage } from "../../src/http/servers.ts";
import { Cluster, isCatgaError } from "../../src/index.ts";

import { brokersAreWanted } from "../drivers/broker-process.ts";
import { NatsServer } from "../drivers/nats-server.ts";

const MISSING: string = "@catga/not-installed";
const hello = { fetch: () => new Response("hello") };
const named = (name: string) => ({ fetch: () => new Response(name) });
const auth = (): undefined => undefined;

describe("listen()", () => {
  test("picks a free port for 0 and says which", async () => {
    await using server = await listen(hello, { port: 0 });
    expect(server.url).toBe(`http://127.0.0.1:${server.port}`);
    expect(await (await fetch(server.url)).text()).toBe("hello");
  });
  test.each(["localhost", "::1", "127.0.0.2"])("serves on %s", async (hostname) => {
    await using server = await listen(hello, { port: 0, hostname });
    expect(await (await fetch(server.url)).text()).toBe("hello");
  });
  test.each(["0.0.0.0", "::", "", "192.0.2.1", "example.org", "127.0.0.1.example.org", "[::1]"])(
    'refuses "%s", which other machines may reach',
    async (hostname) => {
      const error: unknown = await listen(hello, { port: 0, hostname }).catch(itself);
      expect(error).toBeInstanceOf(TypeError);
      expect(String(error)).toContain(`Cannot listen on "${hostname}"`);
    },
  );
  test("serves other machines when it is told to", async () => {
    const options = { port: 0, hostname: "0.0.0.0", allowRemote: true };
    await using server = await listen(hello, options);
    expect(await (await fetch(`http://127.0.0.1:${server.port}`)).text()).toBe("hello");
  });
  test("serves other machines when they have to log in", async () => {
    await using cluster = await Cluster.start("memory");
    const closed = (): Hono => new Hono().route("/api", gateway(cluster, { expose: [], auth }));
    const open = new Hono().route("/api", gateway(cluster, { expose: [] }));
    const options = { port: 0, hostname: "0.0.0.0" };
    await using server = await listen({ "/": closed(), "/b": closed() }, options);
    expect((await fetch(`http://127.0.0.1:${server.port}/b/api/x`)).status).toBe(401);
    for (const apps of [open, { "/": closed(), "/b": open }, { "/": closed(), "/b": hello }]) {
      expect(await listen(apps, options).catch(itself)).toBeInstanceOf(TypeError);
    }
    const both = closed().route("/open", open);
    expect(await listen(both, options).catch(itself)).toBeInstanceOf(TypeError);
  });
  test.each([
    ["", hello],
    ["admin", hello],
    ["/admin/", hello],
    ["/a//b", hello],
    ["/:a", hello],
    ["/*", hello],
    ["/a/../b", hello],
    ["/%61", hello],
    ["/a?b", hello],
    ["/a", undefined],
    ["/a", () => new Response()],
  ])("refuses to serve below %j what is %p", async (path, app) => {
    const error: unknown = await listen({ [path]: app as never }, { port: 0 }).catch(itself);
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).toContain(`"${path}"`);
  });
  test.each([undefined, null, {}, () => {}])("refuses to serve %p", async (app) => {
    expect(await listen(app as never, { port: 0 }).catch(itself)).toBeInstanceOf(TypeError);
  });
  test("the longest path counts", async () => {
    const apps = { "/a": named("a"), "/a/b": named("a/b"), "/a/b/c": named("a/b/c") };
    await using server = await listen(apps, { port: 0 });
    const ask = async (path: string): Promise<string> => (await fetch(server.url + path)).text();
    const paths = ["/a", "/a/x", "/a/b", "/a/b/x", "/a/b/c/d", "/ab", "/", "/b"];
    const served = ["a", "a", "a/b", "a/b", "a/b/c", "Not found", "Not found", "Not found"];
    expect(await Promise.all(paths.map(ask))).toEqual(served);
  });
  test.each([0, -1, Number.NaN])("refuses the limit %p", async (connectionsMax) => {
    const limits = { connectionsMax };
    expect(await listen(hello, { port: 0, limits }).catch(itself)).toBeInstanceOf(RangeError);
  });
  test.each([-1, 65_536, 1.5, Number.NaN])("refuses the port %d", async (port) => {
    expect(await listen(hello, { port }).catch(itself)).toBeInstanceOf(RangeError);
  });
  test("says so when the port is taken, by itself or by another program", async () => {
    await using server = await listen(hello, { port: 0 });
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    for (const port of [server.port, (other.address() as { port: number }).port]) {
      const error: unknown = await listen(hello, { port }).catch(itself);
      expect(isCatgaError(error, "PORT_TAKEN") && error.details).toEqual({
        address: `127.0.0.1:${port}`,
        reason: "another program listens there",
      });
    }
    other.close();
  });
});

describe("close()", () => {
  test("lets a request that is running finish", async () => {
    const entered = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<Response>();
    const fetching = {
      fetch() {
        entered.resolve();
        return answer.promise;
      },
    };
    const server = await listen(fetching, { port: 0 });
    const asking = fetch(server.url);
    await entered.promise;
    const closing = server.close();
    expect(await fetch(server.url).catch(itself)).toBeInstanceOf(Error);
    answer.resolve(new Response("done"));
    expect(await (await asking).text()).toBe("done");
    await closing;
  });
  test("does not wait for one that never finishes", async () => {
    const entered = Promise.withResolvers<void>();
    const fetching = {
      fetch() {
        entered.resolve();
        return new Promise<Response>(() => {});
      },
    };
    const server = await listen(fetching, { port: 0 });
    const asking = fetch(server.url).catch(itself);
    await entered.promise;
    await server.close();
    expect(await asking).toBeInstanceOf(Error);
  });
  test("may be called twice", async () => {
    const server = await listen(hello, { port: 0 });
    const closing = server.close();
    expect(server.close()).toBe(closing);
    await closing;
  });
});

describe("a package that is not installed", () => {
  test("is named, with the command that installs it", async () => {
    const error: unknown = await loadPackage("hono-x", () => import(MISSING)).catch(itself);
    expect(isCatgaError(error, "MISSING_PACKAGE") && error.details.package).toBe("hono-x");
    expect(String(error)).toContain('run "npm install hono-x"');
  });
  test("is told from one that fails", async () => {
    const loading = loadPackage("hono-x", () => Promise.reject(new Error("broken")));
    expect(await loading.catch(itself)).toEqual(new Error("broken"));
  });
});

const withBrokers = brokersAreWanted();
let nats: NatsServer | undefined;
beforeAll(async () => {
  if (withBrokers) nats = await NatsServer.start();
});
afterAll(() => nats?.stop());

describe.each([
  ["Node.js", "node", []],
  ["Deno", "deno", ["run", "--allow-all"]],
  ["Bun", "bun", []],
])("on %s", (name, binary, flags) => {
  const programs = [
    ["the edge serves", "edge-runtimes.ts", `serves on ${name}`],
    ["the edge serves what lives elsewhere", "edge-runtimes.ts", "over NATS"],
    ["limits and paths hold", "listen-limits.ts", "The limits hold"],
    ["sockets are served", "socket-runtimes.ts", "The sockets hold"],
    ["what is no socket is not upgraded", "upgrade-runtimes.ts", "Nothing else is upgraded"],
  ] as const;
  test.each(programs.filter(([, , said]) => withBrokers || said !== "over NATS"))(
    "%s",
    (_, file, said) => {
      const root = join(import.meta.dir, "../..");
      const program = join(root, "node_modules/.bin", binary);
      const command = [...flags, join(import.meta.dir, file)];
      const env = { ...process.env, ...(said === "over NATS" && { NATS_URL: nats!.url }) };
      const { stdout, stderr } = spawnSync(program, command, { cwd: root, encoding: "utf8", env });
      expect([stdout, stderr]).toEqual([expect.stringContaining(said), expect.any(String)]);
    },
    30_000,
  );
});

/** Makes a rejection a value. */
function itself(error: unknown): unknown {
  return error;
}
