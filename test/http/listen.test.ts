import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { createServer } from "node:net";
import { join } from "node:path";
import { listen, loadPackage } from "../../src/http/listen.ts";
import { isCatgaError } from "../../src/index.ts";

const MISSING: string = "@catga/not-installed";
const hello = { fetch: () => new Response("hello") };

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

describe.each([
  ["Node.js", "node", []],
  ["Deno", "deno", ["run", "--allow-all"]],
  ["Bun", "bun", []],
])("on %s", (name, binary, flags) => {
  test("the edge serves", () => {
    const root = join(import.meta.dir, "../..");
    const program = join(root, "node_modules/.bin", binary);
    const command = [...flags, join(import.meta.dir, "edge-runtimes.ts")];
    const { stdout, stderr } = spawnSync(program, command, { cwd: root, encoding: "utf8" });
    expect([stdout, stderr]).toEqual([
      expect.stringContaining(`serves on ${name}`),
      expect.any(String),
    ]);
  }, 30_000);
});

/** Makes a rejection a value. */
function itself(error: unknown): unknown {
  return error;
}
