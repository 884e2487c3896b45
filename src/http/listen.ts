/**
 * Binds an app to a port. The one file that asks which runtime it is on: Bun has a server of its
 * own, Node.js and Deno share the one of `@hono/node-server`.
 *
 * The defaults of the servers would let silent connections stay for minutes (Node.js) or for ever
 * (Deno). Here, one that sends nothing, or its request too slowly, is gone after 6 to 12 seconds,
 * while a handler may take its time.
 */
import { once } from "node:events";
import type { Server } from "node:http";
import type { Socket } from "node:net";
import { CatgaError } from "../index.ts";
import { type Apps, asksWhoItIs, type Servable, servableOf } from "./apps.ts";

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
  readonly limits?: Partial<ListenLimits>;
}

/** What a port takes at most; what is beyond is refused, or its connection closed. */
export interface ListenLimits {
  /** Connections at once. Not on Bun: there it is the open files of a process. @default 10_000 */
  readonly connectionsMax: number;
  /** Requests on one connection, which is closed then. Not on Bun. @default 10_000 */
  readonly requestsPerConnectionMax: number;
  /** Bytes of a URL; 414, and 431 when it is beyond what headers may have. @default 8_192 */
  readonly urlBytesMax: number;
  /** Bytes of all headers and the URL; 431. On Bun and Deno always the default. @default 16_384 */
  readonly headersBytesMax: number;
  /** Bytes of a body; 413. Without a length on Bun alone: apps limit it too. @default 16 MB */
  readonly bodyBytesMax: number;
  /** Time in which a client reads nothing of what waits for it. On Bun 20 s. @default 20_000 */
  readonly unreadMsMax: number;
}

const LIMITS: ListenLimits = {
  // Some kilobytes each, and below what a process usually may open.
  connectionsMax: 10_000,
  // A connection for ever would stay with a node for ever, however many others come.
  requestsPerConnectionMax: 10_000,
  // What proxies and servers take at least.
  urlBytesMax: 8_192,
  headersBytesMax: 16_384,
  // Apps beside a gateway may take files; a gateway takes far less.
  bodyBytesMax: 16_777_216,
  // What Bun does by itself.
  unreadMsMax: 20_000,
};

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
/** Bun's clock ticks every four seconds: measured, silent connections are closed after 12. */
const BUN_IDLE_SECONDS = 10;
const NODE_TIMEOUTS = {
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
};

interface Serving {
  readonly app: Servable;
  readonly limits: ListenLimits;
  readonly port: number;
  readonly hostname: string;
}

/** A server of any runtime. */
interface Bound {
  readonly port: number;
  /** Closes what is idle; resolves when the last connection is gone. */
  readonly drain: () => Promise<unknown>;
  /** Closes what is left. */
  readonly cut: () => void | Promise<void>;
}

/** The part of `globalThis.Bun` that is used here; its types would come with all its globals. */
interface BunGlobal {
  serve(options: {
    readonly port: number;
    readonly hostname: string;
    readonly idleTimeout: number;
    readonly development: false;
    readonly reusePort: false;
    readonly maxRequestBodySize: number;
    fetch(request: Request, server: BunServer): Response | Promise<Response>;
  }): BunServer;
}

interface BunServer {
  readonly port: number;
  timeout(request: Request, seconds: number): void;
  stop(closeActiveConnections: boolean): Promise<void>;
}

/**
 * Serves an app, or several below paths of their own.
 *
 * @example
 * await listen({ "/": shop, "/api": gateway(cluster, { expose: [Account] }) }, { port: 3000 });
 * @throws {CatgaError} PORT_TAKEN, or MISSING_PACKAGE when `@hono/node-server` is not installed.
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
  const serving = { app: within(limits, app), limits, port, hostname };
  try {
    return listening(await (bun ? bindBun(bun, serving) : bindNode(serving)), hostname);
  } catch (error) {
    if (codeOf(error) !== "EADDRINUSE") throw error;
    const details = { address: `${hostname}:${port}`, reason: "another program listens there" };
    throw new CatgaError("PORT_TAKEN", details, { cause: error });
  }
}

/**
 * Loads a package that need not be installed.
 *
 * @throws {CatgaError} MISSING_PACKAGE
 */
export async function loadPackage<T>(
  name: string,
  load: () => Promise<T>,
  purpose = "serve HTTP on this runtime",
): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if (codeOf(error) !== "ERR_MODULE_NOT_FOUND") throw error;
    const details = { package: name, purpose };
    throw new CatgaError("MISSING_PACKAGE", details, { cause: error });
  }
}

async function bindBun(bun: BunGlobal, { app, limits, port, hostname }: Serving): Promise<Bound> {
  const server = bun.serve({
    port,
    hostname,
    maxRequestBodySize: limits.bodyBytesMax,
    idleTimeout: BUN_IDLE_SECONDS,
    // Its error pages show source. Without them Bun would share the port with whoever wants it.
    development: false,
    reusePort: false,
    fetch(request, server) {
      const response = app.fetch(request, { server });
      // Bun stops the idle clock once it has read a body; without one it would cut off a handler
      // that takes longer. Afterwards the connection may be idle as long as any other.
      if (request.body !== null || !(response instanceof Promise)) return response;
      server.timeout(request, 0);
      return response.finally(() => server.timeout(request, BUN_IDLE_SECONDS));
    },
  });
  return { port: server.port, drain: () => server.stop(false), cut: () => server.stop(true) };
}

async function bindNode({ app, limits, port, hostname }: Serving): Promise<Bound> {
  const adapter = await loadPackage("@hono/node-server", () => import("@hono/node-server"));
  const server = adapter.createAdaptorServer({
    fetch: (request, env) => app.fetch(request, env),
    hostname,
    serverOptions: { ...NODE_TIMEOUTS, maxHeaderSize: limits.headersBytesMax },
  }) as Server;
  server.maxConnections = limits.connectionsMax;
  server.maxRequestsPerSocket = limits.requestsPerConnectionMax;
  cutUnread(server, limits);
  server.listen(port, hostname);
  await once(server, "listening");
  const bound = server.address();
  return {
    port: typeof bound === "object" && bound !== null ? bound.port : port,
    drain: () => {
      const closed = once(server, "close");
      server.close();
      server.closeIdleConnections();
      return closed;
    },
    cut: () => server.closeAllConnections(),
  };
}

/** Cuts off who does not read: what waits for him would stay in memory as long as he likes. */
function cutUnread(server: Server, { unreadMsMax }: ListenLimits): void {
  const sent = new Map<Socket, number>();
  server.on("connection", (socket) => {
    sent.set(socket, 0);
    socket.once("close", () => sent.delete(socket));
  });
  const timer = setInterval(() => {
    for (const [socket, before] of sent) {
      const now = socket.bytesWritten - socket.writableLength;
      if (socket.writableLength > 0 && now === before) socket.destroy();
      else sent.set(socket, now);
    }
  }, unreadMsMax);
  server.once("close", () => clearInterval(timer));
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

function limitsOf(given: Partial<ListenLimits> = {}): ListenLimits {
  const limits = { ...LIMITS, ...given };
  for (const [name, value] of Object.entries(limits)) {
    if (!(value >= 1)) throw new RangeError(`Cannot limit ${name} to ${value}: write 1 or more`);
  }
  return limits;
}

/** What the servers do not refuse by themselves. */
function within({ urlBytesMax, bodyBytesMax }: ListenLimits, app: Servable): Servable {
  return {
    fetch(request, env) {
      const { url, method } = request;
      if (url.length > urlBytesMax) return new Response("URL too long", { status: 414 });
      if (method === "GET" || method === "HEAD") return app.fetch(request, env);
      const isLarge = Number(request.headers.get("Content-Length")) > bodyBytesMax;
      return isLarge ? new Response("Body too large", { status: 413 }) : app.fetch(request, env);
    },
  };
}

function isLoopback(hostname: string): boolean {
  return /^(?:localhost|::1|127\.\d{1,3}\.\d{1,3}\.\d{1,3})$/.test(hostname);
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
