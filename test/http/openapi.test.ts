import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import { Hono } from "hono";
import { z } from "zod";
import { gateway, type Listening, listen } from "../../src/http/index.ts";
import {
  Cluster,
  type ClusterOf,
  command,
  defineCommand,
  defineEntity,
  defineEvent,
  defineQuery,
  handler,
  query,
  Rejection,
} from "../../src/index.ts";

interface Operation {
  readonly operationId?: string;
  readonly parameters?: readonly { readonly $ref?: string; readonly name?: string }[];
  readonly requestBody?: { readonly required: boolean };
  readonly responses: Readonly<Record<string, object>>;
  readonly security?: readonly object[];
}
interface Document {
  readonly openapi: string;
  readonly info: object;
  readonly security?: readonly object[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

interface Tree {
  readonly name: string;
  readonly below: Tree[];
}
const TreeSchema: z.ZodType<Tree> = z.object({
  name: z.string(),
  get below() {
    return z.array(TreeSchema);
  },
});
const Shelf = defineEntity("shelf", {
  messages: {
    put: command({
      input: z.object({ title: z.string().min(1), pages: z.number().int().positive() }),
      reply: z.object({ count: z.number() }),
    }),
    find: query({
      input: z.object({ least: z.number().optional(), isNew: z.boolean().default(false) }),
      reply: z.object({ least: z.unknown(), isNew: z.boolean() }),
    }),
    tree: query({ input: z.object({ tree: TreeSchema }), reply: TreeSchema }),
    empty: command(),
    plain: query<{ a?: string }, object>(),
    when: query<{ at?: string }, string>({ input: z.object({ at: z.iso.datetime() }) }),
  },
  state: () => ({ count: 0 }),
  handlers: {
    put(ctx, { pages }) {
      if (pages > 1_000) throw new Rejection("TOO_THICK");
      return { count: (ctx.state.count += 1) };
    },
    find: (_, { least, isNew }) => ({ least: least ?? null, isNew }),
    tree: (_, { tree }) => tree,
    empty() {},
    plain: (_, { a }) => ({ a: a ?? null }),
    when: (_, { at = "" }) => at,
  },
});
const Double = defineQuery("double", {
  input: z.object({ n: z.number() }),
  reply: z.object({ n: z.number() }),
});
const Ping = defineCommand<void, string>("ping", { route: { strategy: "broadcast" } });
const Paid = defineEvent<{ id: string }>("paid");
const EXPOSED = [Shelf, Double, Ping, Paid];

/** A payload for each operation, which its schema takes; `undefined` for none. */
const PAYLOADS: Readonly<Record<string, object | undefined>> = {
  "shelf.put": { title: "Emma", pages: 474 },
  "shelf.find": { least: 3, isNew: true },
  "shelf.tree": { tree: { name: "a", below: [{ name: "b", below: [] }] } },
  "shelf.empty": undefined,
  "shelf.plain": { a: "b" },
  "shelf.when": { at: "2026-01-01T00:00:00Z" },
  "messages.double": { n: 2 },
  "messages.ping": undefined,
};

let cluster: ClusterOf<typeof Shelf>;
let served: Listening;
let document: Document;
beforeAll(async () => {
  cluster = await Cluster.start({
    transport: "memory",
    entities: [Shelf],
    handlers: [handler(Double, ({ n }) => ({ n: 2 * n })), handler(Ping, () => "pong")],
  });
  served = await listen(gateway(cluster, { expose: EXPOSED, auth }), { port: 0 });
  document = (await (await ask("/openapi.json")).json()) as Document;
});
afterAll(async () => {
  await served.close();
  await cluster.stop({ deadline: 100 });
});

function auth(request: Request): { subject: string } | undefined {
  return request.headers.get("Authorization") === "Bearer t" ? { subject: "ada" } : undefined;
}

function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set("Authorization", "Bearer t");
  return fetch(served.url + path, { ...init, headers });
}

function ofShelf(template: string): string {
  return template.replace(/^(\w+ \/(?:entities|watch)\/):name/, "$1shelf");
}

const operations = (): [string, string, Operation][] =>
  Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]): [string, string, Operation] => [
      path,
      method,
      operation,
    ]),
  );

/** Throws unless `value` is what the document says of that answer. */
function check(place: readonly string[], value: unknown): void {
  const pointer = place.map((step) => step.replaceAll("~", "~0").replaceAll("/", "~1"));
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(document, "doc");
  const found = ajv.compile({ $ref: `doc#/${pointer.map(encodeURIComponent).join("/")}` });
  if (!found(value)) throw new Error(`${place.join(" ")}: ${ajv.errorsText(found.errors)}`);
}

function checkAnswer(at: { path: string; method: string; status: number }, body: unknown): void {
  const { path, method, status } = at;
  const where = ["paths", path, method, "responses", String(status)];
  check([...where, "content", "application/json", "schema"], body);
}

describe("the document", () => {
  test("is OpenAPI 3.1 for a public validator, with management and without", async () => {
    const bare = gateway(cluster, { expose: [Double], management: "off" });
    const less = await (await bare.request("/openapi.json")).json();
    for (const each of [document, less]) {
      const result = await new Validator().validate(
        structuredClone(each) as Record<string, unknown>,
      );
      expect(result.errors ?? []).toEqual([]);
      expect(result.valid).toBe(true);
    }
  });
  test("says what it was told of itself", async () => {
    const openapi = { title: "Shelves", version: "2.1.0", servers: [{ url: "https://a.example" }] };
    const app = gateway(cluster, { expose: [], openapi });
    const said = (await (await app.request("/openapi.json")).json()) as Document;
    expect(said).toMatchObject({
      info: { title: "Shelves", version: "2.1.0" },
      servers: openapi.servers,
    });
    expect(said.security).toBeUndefined();
  });
  test("is for those who are known, and has not changed for who has it", async () => {
    expect((await fetch(`${served.url}/openapi.json`)).status).toBe(401);
    expect(document.security).toEqual([{ bearer: [] }]);
    const tag = (await ask("/openapi.json")).headers.get("ETag") ?? "";
    expect((await ask("/openapi.json", { headers: { "If-None-Match": tag } })).status).toBe(304);
    expect((await ask("/openapi.json", { method: "POST" })).headers.get("Allow")).toBe("GET, HEAD");
  });
  test("names every route of the gateway", () => {
    const app = gateway(cluster, { expose: EXPOSED, auth });
    const templates = app.routes
      .filter(({ method, path }) => ["GET", "POST", "PUT"].includes(method) && path !== "/*")
      .map(({ method, path }) => `${method.toLowerCase()} ${path}`);
    const shapes = operations().map(
      ([path, method]) => new RegExp(`^${method} ${path.replaceAll(/\{\w+\}/g, "[^/]+")}$`),
    );
    const isNamed = (template: string): boolean =>
      /:type/.test(template) || shapes.some((shape) => shape.test(ofShelf(template)));
    expect(templates.filter((template) => !isNamed(template))).toEqual([]);
  });
});

describe("what it says is true", () => {
  test("of every message: it is taken as said, and answered as said", async () => {
    const messages = operations().filter(([path]) => /^\/(entities|messages)\//.test(path));
    expect(messages).toHaveLength(8 + 5);
    for (const [path, method, { operationId = "", responses }] of messages) {
      const payload = PAYLOADS[operationId.replace(/\.get$/, "")];
      const json = JSON.stringify(payload);
      const url = path.replace("{id}", "a%2Fb");
      const query = payload === undefined ? "" : `?payload=${encodeURIComponent(json)}`;
      const headers = { "Content-Type": "application/json" };
      const answer =
        method === "get"
          ? await ask(url + query)
          : await ask(url, { method: "POST", headers, ...(payload && { body: json }) });
      const { status } = answer;
      expect([operationId, Object.keys(responses).includes(String(status))]).toEqual([
        operationId,
        true,
      ]);
      expect([200, 204]).toContain(status);
      if (status === 200) checkAnswer({ path, method, status }, await answer.json());
    }
  });
  test("of every refusal: its status is there, and its code among its codes", async () => {
    const path = "/entities/shelf/{id}/put";
    const cases: [RequestInit, number][] = [
      [{ body: "[", headers: { "Content-Type": "application/json" } }, 400],
      [{ body: "{}", headers: { "Content-Type": "application/json" } }, 422],
      [{ body: "a" }, 415],
      [{ method: "PUT" }, 405],
      [
        { body: '{"title":"a","pages":2000}', headers: { "Content-Type": "application/json" } },
        409,
      ],
    ];
    for (const [init, status] of cases) {
      const answer = await ask(path.replace("{id}", "1"), { method: "POST", ...init });
      expect(answer.status).toBe(status);
      const where = ["components", "responses", String(status), "content"];
      check([...where, "application/problem+json", "schema"], await answer.json());
      expect(document.paths[path]?.["post"]?.responses[status]).toBeDefined();
    }
  });
  test("of streams and of the gateway's own paths", async () => {
    const paths = ["/watch/shelf/{id}", "/events"];
    for (const path of paths) {
      const hangUp = new AbortController();
      const url = path.replace("{id}", "1") + (path === "/events" ? "?types=paid" : "");
      const answer = await ask(url, { signal: hangUp.signal });
      expect(answer.headers.get("Content-Type")).toStartWith("text/event-stream");
      hangUp.abort();
    }
    const own = operations().filter(([path]) => !/^\/(entities|messages|watch|events)/.test(path));
    for (const [path, method] of own.filter(([, method]) => method === "get")) {
      const answer = await ask(path.replace("{name}", "shelf").replace("{id}", "1"));
      const { status } = answer;
      // A process that was kept from its loop says that it is not ready.
      if (path !== "/healthz/ready" || status !== 503) expect([path, status]).toEqual([path, 200]);
      if (answer.headers.get("Content-Type") !== "application/json") continue;
      checkAnswer({ path, method, status }, await answer.json());
    }
  });
});

describe("plain fields of a query", () => {
  test("become the numbers and booleans that the schema wants", async () => {
    const found = await ask("/entities/shelf/1/find?least=2.5&isNew=true");
    expect(await found.json()).toEqual({ least: 2.5, isNew: true });
    expect(await (await ask("/messages/double?n=-1e2")).json()).toEqual({ n: -200 });
  });
  test.each(["n=", "n=1a", "n=0x10", "n=Infinity", "n=%201", "n=true"])(
    "%p stays the text it is, and the schema says no",
    async (query) => {
      expect((await ask(`/messages/double?${query}`)).status).toBe(422);
    },
  );
  test("stay texts where the schema says nothing", async () => {
    expect(await (await ask("/entities/shelf/1/plain?a=1")).json()).toEqual({ a: "1" });
  });
});

test("a mounted gateway serves its document below its path", async () => {
  const app = new Hono().route("/api", gateway(cluster, { expose: [Double] }));
  const { paths } = (await (await app.request("/api/openapi.json")).json()) as Document;
  expect(Object.keys(paths)).toContain("/messages/double");
});
