import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { Hono } from "hono";
import { gateway, type GatewayCluster, listen } from "../../src/http/index.ts";
import { CatgaError } from "../../src/index.ts";
import { Account, problemOf, refusalOf, serve, type Served } from "./served.ts";

/** Does nothing, as whatever is not asked for here. */
const beforeStop = (): undefined => undefined;

let edge: Served;
beforeAll(async () => {
  edge = await serve();
});
afterAll(() => edge.stop());

describe("POST on a message", () => {
  test("sends a command with its payload and answers 200 with the reply", async () => {
    const response = await edge.post("/entities/account/p1/deposit", { amount: 10 });
    expect(response.status).toBe(200);
    expect(response.headers.get("Content-Type")).toBe("application/json");
    expect(await response.json()).toBe(10);
  });
  test("sends a query too", async () => {
    const response = await edge.post("/entities/account/p2/echo", { deep: [{ n: null }] });
    expect(await response.json()).toEqual({ type: "echo", id: "p2", deep: [{ n: null }] });
  });
  test("answers 204 without a body when there is no reply", async () => {
    const response = await edge.ask("/entities/account/p3/close", { method: "POST" });
    expect([response.status, await response.text()]).toEqual([204, ""]);
    expect(await (await edge.ask("/entities/account/p3/balance")).json()).toBe(-1);
  });
  test.each(["respond-async", "wait=5, Respond-Async; x=1"])(
    "tells and answers 202 under `Prefer: %s`",
    async (prefer) => {
      const path = `/entities/account/${encodeURIComponent(prefer)}`;
      const response = await edge.post(`${path}/deposit`, { amount: 5 }, { Prefer: prefer });
      expect([response.status, await response.text()]).toEqual([202, ""]);
      expect(response.headers.get("Preference-Applied")).toBe("respond-async");
      expect(await (await edge.ask(`${path}/balance`)).json()).toBe(5);
    },
  );
  test("waits for the reply under any other preference", async () => {
    const headers = { Prefer: "respond-asynchronously" };
    const response = await edge.post("/entities/account/p4/deposit", { amount: 5 }, headers);
    expect(await response.json()).toBe(5);
  });
});

describe("GET on a message", () => {
  test("answers a query", async () => {
    const response = await edge.ask("/entities/account/g1/balance");
    expect([response.status, await response.json()]).toEqual([200, 0]);
  });
  test("reads its payload from the query, as JSON", async () => {
    const json = encodeURIComponent('{"n":[1,"ü"]}');
    const response = await edge.ask(`/entities/account/g2/echo?payload=${json}`);
    expect(await response.json()).toEqual({ type: "echo", id: "g2", n: [1, "ü"] });
  });
  test("reads its payload from plain fields, as strings", async () => {
    const response = await edge.ask("/entities/account/g3/echo?n=1&text=a+b%26&empty=");
    expect(await response.json()).toEqual({
      type: "echo",
      id: "g3",
      n: "1",
      text: "a b&",
      empty: "",
    });
  });
  test("refuses a command with 405, and says what is allowed", async () => {
    const response = await edge.ask("/entities/account/g4/deposit?amount=10");
    expect(response.headers.get("Allow")).toBe("POST");
    expect(await refusalOf(response)).toEqual([405, "MALFORMED"]);
    expect(await (await edge.ask("/entities/account/g4/balance")).json()).toBe(0);
  });
});

describe("any other method on a message", () => {
  test("HEAD of a query answers without a body", async () => {
    const response = await edge.ask("/entities/account/1/balance", { method: "HEAD" });
    expect([response.status, await response.text()]).toEqual([200, ""]);
  });
  test.each([
    ["PUT", "balance", "GET, HEAD, POST"],
    ["DELETE", "deposit", "POST"],
    ["HEAD", "deposit", "POST"],
  ])("%s of %s is refused with 405, and says what is allowed", async (method, type, allowed) => {
    const response = await edge.ask(`/entities/account/1/${type}`, { method });
    expect([response.status, response.headers.get("Allow")]).toEqual([405, allowed]);
  });
});

describe("the cluster's routes", () => {
  test("/cluster/nodes lists the nodes", async () => {
    const nodes = (await (await edge.ask("/cluster/nodes")).json()) as { node: string }[];
    expect(nodes.map(({ node }) => node)).toEqual([edge.cluster.nodeId]);
  });
  test("/cluster/owner names the owner, the shard and the epoch", async () => {
    const owner = edge.cluster.owner("account", "a/b")!;
    const response = await edge.ask("/cluster/owner/account/a%2Fb");
    expect(await response.json()).toEqual({ name: "account", id: "a/b", ...owner });
  });
  test("/cluster/owner adds the endpoint that the owner announces", async () => {
    const owner = { node: "b", shard: 7, epoch: 3 };
    const nodes = [{ node: "a" }, { node: "b", endpoint: "http://b:1" }] as never;
    const cluster = { beforeStop, nodes, owner: () => owner } as unknown as GatewayCluster;
    const app = gateway(cluster, { expose: [Account] });
    const answer = await (await app.request("/cluster/owner/account/1")).json();
    expect(answer).toEqual({ name: "account", id: "1", ...owner, endpoint: "http://b:1" });
  });
  test("/cluster/owner answers 503 while nobody owns the entity", async () => {
    const cluster = { beforeStop, nodes: [], owner: beforeStop } as unknown as GatewayCluster;
    const app = gateway(cluster, { expose: [Account] });
    const response = await app.request("/cluster/owner/account/1");
    expect(response.headers.get("Retry-After")).toBe("1");
    expect(await refusalOf(response)).toEqual([503, "UNAVAILABLE"]);
  });
  test("/healthz/live answers", async () => {
    const response = await edge.ask("/healthz/live");
    expect([response.status, await response.json()]).toEqual([200, { status: "live" }]);
  });
  test.each(["/cluster/nodes", "/cluster/owner/account/1", "/healthz/live"])(
    "%s is only read",
    async (path) => {
      const response = await edge.ask(path, { method: "POST" });
      expect(response.headers.get("Allow")).toBe("GET, HEAD");
      expect(await refusalOf(response)).toEqual([405, "MALFORMED"]);
    },
  );
});

describe("every answer", () => {
  test.each(["/cluster/nodes", "/nowhere", "/entities/account/a%0Ab/balance"])(
    "on %s carries a request id, safe headers, and is stored nowhere",
    async (path) => {
      const { headers } = await edge.ask(path);
      expect(headers.get("X-Request-Id")).toMatch(/^[\w-]{36}$/);
      expect(headers.get("X-Content-Type-Options")).toBe("nosniff");
      expect(headers.get("Content-Security-Policy")).toStartWith("default-src 'none'");
      expect(headers.get("Strict-Transport-Security")).toBeNull();
      expect(headers.get("Cache-Control")).toBe("no-store");
    },
  );
  test("keeps the request id that came with the request", async () => {
    const response = await edge.ask("/nowhere", { headers: { "X-Request-Id": "mine-1" } });
    expect(response.headers.get("X-Request-Id")).toBe("mine-1");
    expect((await problemOf(response)).requestId).toBe("mine-1");
  });
  test.each(["a b", "x".repeat(256), "<script>"])("%p is no request id", async (id) => {
    const response = await edge.ask("/healthz/live", { headers: { "X-Request-Id": id } });
    expect(response.headers.get("X-Request-Id")).toMatch(/^[\w-]{36}$/);
  });
});

describe("a caller that hangs up", () => {
  test.each([
    ["GET", undefined],
    ["POST", undefined],
    ["POST", () => "{}"],
    // Without a length.
    ["POST", () => new Blob(["{}"]).stream()],
  ])("cancels the call of its %s", async (method, body) => {
    const arrived = Promise.withResolvers<AbortSignal>();
    const send = (_: object, { signal }: { readonly signal: AbortSignal }) => {
      arrived.resolve(signal);
      return new Promise<never>(() => {});
    };
    const cluster = { beforeStop, entity: () => ({ send }), nodes: [], owner: never } as never;
    await using server = await listen(gateway(cluster, { expose: [Account] }), { port: 0 });
    const hangUp = new AbortController();
    const headers = { "Content-Type": "application/json" };
    const init = { method, headers, body: body?.() ?? null, signal: hangUp.signal };
    const asking = fetch(`${server.url}/entities/account/1/balance`, init).catch(
      (error: Error) => error.name,
    );
    const signal = await arrived.promise;
    expect(signal.aborted).toBe(false);
    const aborted = once(signal, "abort");
    hangUp.abort();
    await aborted;
    expect(await asking).toBe("AbortError");
  });
});

describe("gateway()", () => {
  test("is mounted beside other routes, which come first", async () => {
    const app = new Hono()
      .get("/", (c) => c.text("home"))
      .route("/api", gateway(edge.cluster, { expose: [Account] }));
    expect(await (await app.request("/")).text()).toBe("home");
    expect(await (await app.request("/api/entities/account/m%2F1/balance")).json()).toBe(0);
    expect(await refusalOf(await app.request("/api/nowhere"))).toEqual([404, "NOT_FOUND"]);
    expect((await app.request("/nowhere")).headers.get("Content-Type")).toStartWith("text/plain");
  });
  test("refuses what is no entity type, and the same name twice", () => {
    expect(() => gateway(edge.cluster, { expose: ["account" as never] })).toThrow(TypeError);
    expect(() => gateway(edge.cluster, { expose: [undefined as never] })).toThrow(TypeError);
    expect(() => gateway(edge.cluster, { expose: [Account, Account] })).toThrow(
      'Cannot expose "account" twice',
    );
  });
});

function never(): never {
  throw new CatgaError("NOT_FOUND", { path: "nobody asks" });
}
