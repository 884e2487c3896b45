/**
 * Binds apps to a port. The one file that asks which runtime it is on; `servers.ts` has what each
 * of them needs.
 */
import { Hono } from "hono";
import { requestId } from "hono/request-id";
import { CatgaError } from "../index.ts";
import { type Apps, asksWhoItIs, type Servable, servableOf } from "./apps.ts";
import { answerError, Refusal } from "./problem.ts";
import { bindBun, bindNode, type Bound, type BunGlobal, codeOf, limitsOf } from "./servers.ts";
import type { ListenLimits } from "./servers.ts";

/** Options of {@link listen}. */
export interface ListenOptions {
  /** 0 picks a free one. */
  readonly port: number;
  /** @default "127.0.0.1" */
  readonly hostname?: string;
  /**
   * Allows a `hostname` that other machines reach, though nobody has to log in.
   *
   * @default true when there is a gateway with `auth` in each app, and none without
   */
  readonly allowRemote?: boolean;
  /** Lets apps upgrade requests to WebSockets; needs `ws` on Node.js and Deno. @default false */
  readonly webSocket?: boolean;
  readonly limits?: Partial<ListenLimits>;
}

/** A bound port. */
export interface Listening extends AsyncDisposable {
  /** Without a slash at the end: `http://127.0.0.1:3000`. */
  readonly url: string;
  readonly port: number;
  /** Takes no more connections, gives open requests two seconds, then closes. Twice is once. */
  readonly close: () => Promise<void>;
}

/** Less than it takes a node to stop, more than it takes most requests. */
const CLOSE_GRACE_MS = 2_000;

/**
 * Serves an app, or several below paths of their own.
 *
 * @example
 * await listen({ "/": shop, "/api": gateway(cluster, { expose: [Account] }) }, { port: 3000 });
 * @throws {CatgaError} PORT_TAKEN, or MISSING_PACKAGE for `@hono/node-server` or `ws`.
 * @throws {TypeError} when `hostname` is not of this machine alone and `allowRemote` is not set.
 * @throws {RangeError} when there is no such port, and for a limit that is not above 0.
 */
export async function listen(apps: Servable | Apps, options: ListenOptions): Promise<Listening> {
  const app = servableOf(apps);
  const limits = limitsOf(options.limits);
  const { port, hostname = "127.0.0.1", allowRemote = asksWhoItIs(apps) } = options;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new RangeError(`Cannot listen on port ${port}: it is not an integer from 0 to 65535`);
  }
  if (!allowRemote && !isLoopback(hostname)) {
    throw new TypeError(
      `Cannot listen on "${hostname}": other machines may reach it, and nobody has to log in; ` +
        `use "127.0.0.1", give each app's gateway an auth, or set allowRemote: true`,
    );
  }
  const { Bun: bun } = globalThis as { readonly Bun?: BunGlobal };
  const { webSocket = false } = options;
  const serving = { app: within(limits, app), limits, webSocket, port, hostname };
  try {
    return listening(await (bun ? bindBun(bun, serving) : bindNode(serving)), hostname);
  } catch (error) {
    if (codeOf(error) !== "EADDRINUSE") throw error;
    const details = { address: `${hostname}:${port}`, reason: "another program listens there" };
    throw new CatgaError("PORT_TAKEN", details, { cause: error });
  }
}

function listening({ port, drain, cut }: Bound, hostname: string): Listening {
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= closeWithin(CLOSE_GRACE_MS, { drain, cut }));
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return { url: `http://${host}:${port}`, port, close, [Symbol.asyncDispose]: close };
}

async function closeWithin(graceMs: number, { drain, cut }: Omit<Bound, "port">): Promise<void> {
  const drained = drain();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, graceMs)));
  await Promise.race([drained, late]);
  clearTimeout(timer);
  await cut();
}

/** What the servers do not refuse by themselves. */
function within(limits: ListenLimits, app: Servable): Servable {
  return {
    fetch(request, env) {
      const excess = excessOf(request, limits);
      if (excess === undefined) return app.fetch(request, env);
      const refusing = new Hono().use(requestId());
      return refusing.all("*", (c) => answerError(excess, c, undefined)).fetch(request);
    },
  };
}

function excessOf(request: Request, limits: ListenLimits): Refusal | undefined {
  const { url, method, headers } = request;
  if (url.length > limits.urlBytesMax) return tooLarge("URL", url.length, limits.urlBytesMax);
  if (method === "GET" || method === "HEAD") return undefined;
  const bytes = Number(headers.get("Content-Length"));
  return bytes > limits.bodyBytesMax ? tooLarge("body", bytes, limits.bodyBytesMax) : undefined;
}

function tooLarge(what: "URL" | "body", bytes: number, bytesMax: number): Refusal {
  const error = new CatgaError("TOO_LARGE", { what, bytes, bytesMax });
  return new Refusal(error, what === "URL" ? 414 : 413);
}

function isLoopback(hostname: string): boolean {
  return /^(?:localhost|::1|127\.\d{1,3}\.\d{1,3}\.\d{1,3})$/.test(hostname);
}
