/** The HTTP edge: paths, queries, headers and bodies as nobody means them. */
import * as fc from "fast-check";
import { gateway } from "../../src/http/index.ts";
import { Cluster, command, defineEntity, defineQuery, handler, query } from "../../src/index.ts";
import { bytesLike, jsonLike, textLike, texts } from "./inputs.ts";
import { Finding, holds, type Target, targetOf } from "./target.ts";

interface Request_ {
  readonly method: string;
  readonly path: readonly string[];
  readonly query: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array | undefined;
}

type App = { request(request: Request): Response | Promise<Response> };

const Box = defineEntity("box", {
  messages: {
    put: command<{ n: unknown }, { n: number }>(),
    look: query<{ n?: string }, object>(),
  },
  state: () => ({ n: 0 }),
  handlers: {
    put: (ctx, message) => ({ n: (ctx.state.n = Number(message.n) || 0) }),
    look: (ctx, message) => ({ n: ctx.state.n, asked: message.n ?? null }),
  },
});
const Double = defineQuery<{ n: number }, number>("double");

const HEADERS: Readonly<Record<string, fc.Arbitrary<string>>> = {
  Prefer: textLike("respond-async", "respond-async; wait=5, return=minimal", "wait=1"),
  "Idempotency-Key": textLike("k-1", '"k-1"'),
  "Last-Event-ID": textLike("1", "a-5", "5:7"),
  "Request-Timeout-Ms": textLike("500", "1", "30000"),
  traceparent: textLike("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
  tracestate: textLike("a=b,c=d"),
  "Content-Type": textLike("application/json", "application/json; charset=utf-8", "text/plain"),
  "Content-Length": textLike("0", "5", "1000000"),
  "Sec-Fetch-Site": textLike("cross-site", "same-origin"),
  "If-None-Match": textLike('"abc"', "*", 'W/"x"'),
  "X-Request-Id": textLike("r-1"),
  Accept: textLike("text/event-stream", "*/*", "application/json"),
  Origin: textLike("https://a.example", "null"),
  Authorization: textLike("Bearer x", "Basic eDp5"),
  "X-HTTP-Method-Override": textLike("DELETE"),
};

const header = fc
  .constantFrom(...Object.keys(HEADERS))
  .chain((name) => HEADERS[name]!.map((value) => [name, value] as const));

/** Encoded by the letter, as it is, or twice. */
const segment = fc
  .tuple(textLike("box", "a b", "look", "put", "double", "42"), fc.nat(3))
  .map(([text, how]) => (how === 0 ? text : how === 1 ? encoded(encoded(text)) : encoded(text)));

const paths = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(
      fc.constant("entities"),
      fc.constant("box"),
      segment,
      fc.constantFrom("put", "look"),
    ),
  },
  { weight: 2, arbitrary: fc.tuple(fc.constant("entities"), segment, segment, segment) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("messages"), segment) },
  {
    weight: 1,
    arbitrary: fc.tuple(
      fc.constant("cluster"),
      fc.constantFrom("owner", "nodes", "ring", "drain"),
      segment,
      segment,
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ["healthz", "live"],
      ["healthz", "ready"],
      ["metrics"],
      ["openapi.json"],
    ),
  },
  { weight: 1, arbitrary: fc.array(segment, { maxLength: 6 }) },
);

const queries = fc.oneof(
  fc.constant(""),
  jsonLike({ n: "1" }, { n: { a: [1] } }).map((json) => `?payload=${encoded(json)}`),
  fc.tuple(texts, texts).map(([name, value]) => `?${name}=${value}`),
  fc.tuple(texts, texts).map(([name, value]) => `?${encoded(name)}=${encoded(value)}&n=1`),
);

const requests: fc.Arbitrary<Request_> = fc.record({
  method: fc.constantFrom(
    "GET",
    "GET",
    "POST",
    "POST",
    "POST",
    "HEAD",
    "PUT",
    "DELETE",
    "OPTIONS",
    "PATCH",
  ),
  path: paths,
  query: queries,
  headers: fc.array(header, { maxLength: 4 }),
  body: fc.option(bytesLike(jsonLike({ n: 1 }, { n: { a: [1] } }, [])), { nil: undefined }),
});

const edge = targetOf<App, Request_>({
  name: "http",
  inputs: requests,
  async open() {
    const options = { transport: "memory", entities: [Box] } as const;
    const cluster = await Cluster.start({
      ...options,
      handlers: [handler(Double, ({ n }) => n * 2 || 0)],
    });
    const app = gateway(cluster, { expose: [Box, Double] });
    return { subject: app, close: () => cluster.stop({ deadline: 100 }) };
  },
  // Decodes the id once more, as if nobody had.
  plant: (app) => ({
    request(request) {
      decodeURIComponent(decodeURIComponent(new URL(request.url).pathname));
      return app.request(request);
    },
  }),
  async check(app, input) {
    const request = requestOf(input);
    if (request === undefined) return;
    const response = await app.request(request);
    const { status } = response;
    const isStream = response.headers.get("Content-Type")?.startsWith("text/event-stream");
    if (isStream === true) return await response.body?.cancel();
    const text = await response.text();
    holds(status < 500 || status === 503 || status === 504, `it answers ${status}: ${text}`);
    holds(!/\bat .*\.ts:\d+/.test(text), `it tells where in its code: ${text}`);
    // Health is no error, whatever it says.
    const isProblem = status >= 400 && text !== "" && input.path[0] !== "healthz";
    if (isProblem) checkProblem(response, text);
    const alive = await app.request(new Request("http://edge/entities/box/alive/look"));
    holds(alive.status === 200, `it does not serve any more, but answers ${alive.status}`);
    await alive.body?.cancel();
  },
});

function checkProblem(response: Response, text: string): void {
  const type = response.headers.get("Content-Type") ?? "none";
  holds(type.startsWith("application/problem+json"), `an error of the type ${type}: ${text}`);
  const { code, status } = JSON.parse(text) as Readonly<Record<string, unknown>>;
  holds(typeof code === "string", `an error without a code: ${text}`);
  holds(status === response.status, `an error that says ${String(status)}: ${text}`);
}

/** Nothing for what no client could send: the platform refuses it. */
function requestOf({ method, path, query, headers, body }: Request_): Request | undefined {
  const hasBody = method !== "GET" && method !== "HEAD" && body !== undefined;
  try {
    const url = new URL(`http://edge/${path.join("/")}${query}`);
    const init = {
      method,
      headers: headers.map(([name, value]): [string, string] => [name, value]),
    };
    return new Request(url, hasBody ? { ...init, body: new Uint8Array(body) } : init);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw new Finding("no request", { cause: error });
  }
}

/** Also what `encodeURIComponent` refuses: halves of surrogate pairs. */
function encoded(text: string): string {
  return encodeURIComponent(text.replaceAll(/\p{Surrogate}/gu, "\u{fffd}")).replaceAll(".", "%2E");
}

/** See the file's header. */
export const EDGE_TARGETS: readonly Target[] = [edge];
