/**
 * What may be asked, for programs: an OpenAPI 3.1 document of everything that is exposed, whoever
 * asks; what one may do of that is found out by doing it.
 *
 *   GET /openapi.json
 *
 * Payloads and replies have the JSON Schema that their schema library gives, or none.
 */
import type { Hono } from "hono";
import { etag } from "hono/etag";
import { type AnyDef, describeMessage } from "../index.ts";
import { answerFresh, wrongMethod } from "./answer.ts";
import type { Edge, Told } from "./edge.ts";
import { fieldsOf, jsonSchemaOf } from "./json-schema.ts";
import { codesByStatus } from "./problem.ts";

/** What the document says of itself. */
export interface OpenApiInfo {
  /** @default "catga" */
  readonly title?: string;
  /** Of the API, not of catga. @default "0.0.0" */
  readonly version?: string;
  readonly description?: string;
  /** Where the API is, as its callers write it. @default where the document is */
  readonly servers?: readonly { readonly url: string; readonly description?: string }[];
}

type Json = Readonly<Record<string, unknown>>;
/** Operations by their methods. */
type Item = Readonly<Record<string, Json>>;
type Paths = Readonly<Record<string, Item>>;

const PATH = "/openapi.json";
/** What fields of a query string can be. */
const PLAIN: ReadonlySet<unknown> = new Set(["string", "number", "integer", "boolean"]);
const OBJECT = { type: "object" };
const TEXT = { type: "string" };
const TAKEN = { description: "Taken" };
const NOTHING = { description: "There is no reply" };
const PROBLEM = {
  type: "object",
  properties: {
    ...mapped({ type: 0, title: 0, detail: 0, instance: 0, code: 0, requestId: 0 }, () => ({
      type: "string",
    })),
    status: { type: "integer" },
    retryable: { type: "boolean", description: "Nothing has run, and it may succeed later" },
  },
  required: ["type", "title", "status", "detail", "instance", "code", "retryable", "requestId"],
};
const PARAMETERS = {
  id: {
    name: "id",
    in: "path",
    required: true,
    description: "At most 256 bytes of UTF-8",
    schema: { type: "string", minLength: 1, maxLength: 256 },
  },
  ...header("Request-Timeout-Ms", { type: "integer", minimum: 1 }),
  ...header("Idempotency-Key", { type: "string", minLength: 1, maxLength: 130 }),
  ...header("Prefer", { type: "string", examples: ["respond-async"] }),
  ...header("If-None-Match", { type: "string" }),
  ...header("Last-Event-ID", { type: "string" }),
};

/** What else the document tells. */
interface Facts {
  readonly info?: OpenApiInfo | undefined;
  readonly hasAuth: boolean;
}

/** Adds the route; the document is made when somebody asks first. */
export function addOpenApiRoute(app: Hono<Told>, edge: Edge, facts: Facts): void {
  let document: Json | undefined;
  app.get(PATH, etag(), (c) => {
    document ??= documentOf(edge, facts);
    return answerFresh(c, document);
  });
  app.all(PATH, (c) => {
    throw wrongMethod(c, "GET, HEAD");
  });
}

function documentOf(edge: Edge, { info = {}, hasAuth }: Facts): Json {
  const schemas: Record<string, unknown> = { Problem: PROBLEM };
  const { title = "catga", version = "0.0.0", ...more } = info;
  const statuses = [...codesByStatus].filter(([at]) => hasAuth || (at !== 401 && at !== 403));
  const paths = {
    ...entityPaths(edge, schemas),
    ...messagePaths(edge, schemas),
    ...streamPaths(edge),
    ...own(edge),
  };
  const problems = Object.fromEntries(
    statuses.map(([status]) => [status, ref("responses", status)]),
  );
  const { servers, ...described } = more;
  return {
    openapi: "3.1.1",
    info: { title, version, ...described },
    ...(servers !== undefined && { servers }),
    ...(hasAuth && { security: [{ bearer: [] }] }),
    paths: mapped(paths, (item) =>
      mapped(item, ({ responses, ...rest }) => ({
        ...rest,
        responses: { ...(responses as Json), ...problems },
      })),
    ),
    components: {
      ...(hasAuth && { securitySchemes: { bearer: { type: "http", scheme: "bearer" } } }),
      parameters: PARAMETERS,
      responses: Object.fromEntries(
        statuses.map(([status, codes]) => [status, problem(status, codes)]),
      ),
      schemas,
    },
  };
}

function entityPaths({ exposed }: Edge, schemas: Place["schemas"]): Paths {
  const paths: Record<string, Item> = {};
  for (const { name, messages } of exposed.entities.values()) {
    for (const [type, def] of Object.entries(messages)) {
      const place = {
        tag: name,
        operationId: `${name}.${type}`,
        id: [ref("parameters", "id")],
        schemas,
      };
      paths[`/entities/${name}/{id}/${type}`] = operations(def, place);
    }
  }
  return paths;
}

function messagePaths({ exposed }: Edge, schemas: Place["schemas"]): Paths {
  const paths: Record<string, Item> = {};
  for (const [type, def] of exposed.messages) {
    const place = { tag: "messages", operationId: `messages.${type}`, id: [], schemas };
    paths[`/messages/${type}`] = operations(def, place);
  }
  return paths;
}

function streamPaths({ exposed, management }: Edge): Paths {
  const paths: Record<string, Item> = {};
  const resumed = ref("parameters", "Last-Event-ID");
  const content = { "text/event-stream": { schema: { type: "string" } } };
  const responses = { 200: { description: "Server-sent events", content } };
  for (const name of exposed.entities.keys()) {
    const get = { tags: [name], summary: "What it pushes to those who watch it", responses };
    paths[`/watch/${name}/{id}`] = {
      get: { ...get, parameters: [ref("parameters", "id"), resumed] },
    };
  }
  const events = [...exposed.events.keys()];
  if (events.length === 0 && management === "off") return paths;
  const items = {
    type: "string",
    ...(management === "off" ? { enum: events } : { examples: events }),
  };
  const schema = { type: "array", items, minItems: 1, maxItems: 32 };
  const types = { name: "types", in: "query", required: true, explode: false, schema };
  const get = { tags: ["events"], summary: "What is published, and what happens", responses };
  return { ...paths, "/events": { get: { ...get, parameters: [types, resumed] } } };
}

/** What the gateway answers itself. */
function own({ management }: Edge): Paths {
  const paths = {
    "/healthz/live": read("Whether the process lives", OBJECT, { security: [] }),
    "/healthz/ready": read("Whether the node gets on with its work", OBJECT, {
      security: [],
      responses: { 200: found(OBJECT), 503: { ...found(OBJECT), description: "What keeps it" } },
    }),
    [PATH]: read("This document", OBJECT),
  };
  if (management === "off") return paths;
  const name = { name: "name", in: "path", required: true, schema: { type: "string" } };
  const parameters = [name, ref("parameters", "id")];
  const metrics = { description: "Figures", content: { "text/plain": { schema: TEXT } } };
  const drain = { tags: ["gateway"], summary: "Makes this node leave", responses: { 202: TAKEN } };
  return {
    ...paths,
    ...(management === "full" && { "/cluster/drain": { put: drain } }),
    "/metrics": read("Figures for Prometheus", TEXT, { responses: { 200: metrics } }),
    "/cluster/nodes": read("The nodes that live", { type: "array", items: OBJECT }),
    "/cluster/ring": read("Which part of the shards each node should own", OBJECT),
    "/cluster/owner/{name}/{id}": read("Who owns an entity", OBJECT, { parameters }),
  };
}

interface Place {
  readonly tag: string;
  readonly operationId: string;
  readonly id: readonly Json[];
  /** Gets the schemas that stand among the components. */
  readonly schemas: Record<string, unknown>;
}

function operations(def: AnyDef, { tag, operationId, id, schemas }: Place): Item {
  const { kind, input, reply, isBroadcast } = describeMessage(def);
  const payload = jsonSchemaOf(input, "input");
  const output = jsonSchemaOf(reply, "output") ?? {};
  const said = embedded(output, `${operationId}.reply`, schemas);
  const answer = found(isBroadcast ? { type: "array", items: outcome(said) } : said);
  const given = embedded(payload ?? OBJECT, `${operationId}.payload`, schemas);
  const content = { "application/json": { schema: given } };
  const timed = [...id, ref("parameters", "Request-Timeout-Ms")];
  const keyed = kind === "command" ? [ref("parameters", "Idempotency-Key")] : [];
  const post = {
    tags: [tag],
    operationId,
    parameters: [...timed, ...keyed, ref("parameters", "Prefer")],
    requestBody: { required: input !== undefined, content },
    responses: { 200: answer, 202: TAKEN, 204: NOTHING },
  };
  if (kind !== "query") return { post };
  const get = `${operationId}.get`;
  const fields = [...fieldsOf(def)]
    .filter(([, { type }]) => PLAIN.has(type))
    .map(([name, schema]) => ({ name, in: "query", schema }));
  const whole = { name: "payload", in: "query", content };
  return {
    post,
    get: {
      tags: [tag],
      operationId: get,
      parameters: [...timed, ref("parameters", "If-None-Match"), whole, ...fields],
      responses: { 200: answer, 204: NOTHING, 304: { description: "Not modified" } },
    },
  };
}

/** References of a schema count from its own root: with some it stands among the components. */
function embedded(schema: Json, name: string, schemas: Record<string, unknown>): Json {
  const text = JSON.stringify(schema);
  if (!text.includes('"$ref"')) return schema;
  const at = `#/components/schemas/${name}`;
  schemas[name] = JSON.parse(text, (key, value: unknown) =>
    key === "$ref" && typeof value === "string" && value.startsWith("#")
      ? at + value.slice(1)
      : value,
  );
  return { $ref: at };
}

function read(summary: string, schema: Json, more: Json = {}): Item {
  return { get: { tags: ["gateway"], summary, responses: { 200: found(schema) }, ...more } };
}

/** What each node answers to a broadcast. */
function outcome(reply: Json): Json {
  const node = { type: "string" };
  return {
    type: "object",
    properties: { node, ok: { type: "boolean" }, reply, code: { type: "string" } },
    required: ["node", "ok"],
  };
}

function found(schema: Json): Json {
  return { description: "The answer", content: { "application/json": { schema } } };
}

function problem(status: number, codes: readonly string[]): Json {
  const known = { enum: codes };
  // A handler's rejection has a code of its own.
  const code = status < 500 ? { anyOf: [known, { pattern: "^[A-Z][A-Z0-9_]*$" }] } : known;
  const schema = {
    allOf: [ref("schemas", "Problem")],
    properties: { status: { const: status }, code },
  };
  const seconds = { schema: { type: "integer" }, description: "Seconds" };
  return {
    description: codes.join(", "),
    content: { "application/problem+json": { schema } },
    ...((status === 429 || status === 503) && { headers: { "Retry-After": seconds } }),
  };
}

function header(name: string, schema: Json): Item {
  return { [name]: { name, in: "header", schema } };
}

function ref(kind: string, name: string | number): Json {
  return { $ref: `#/components/${kind}/${name}` };
}

function mapped<T, U>(
  record: Readonly<Record<string, T>>,
  change: (value: T) => U,
): Readonly<Record<string, U>> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
