/**
 * The servers of the runtimes, each with limits that its defaults do not have: Bun has one of its
 * own, Node.js and Deno share the one of `@hono/node-server`.
 *
 * Their defaults would let silent connections stay for minutes (Node.js) or for ever (Deno). Here,
 * one that sends nothing, or its request too slowly, is gone after 6 to 12 seconds, while a handler
 * may take its time; and one that does not read its answer goes after 20 to 40.
 */
import { once } from "node:events";
import type { IncomingMessage, Server } from "node:http";
import type { Socket } from "node:net";
import type { WebSocketServerLike } from "@hono/node-server";
import type { WebSocket, WebSocketServer } from "ws";
import { CatgaError } from "../index.ts";
import type { Servable } from "./apps.ts";

/** What a port takes at most; what is beyond is refused, or its connection closed. */
export interface ListenLimits {
  /** Connections at once. Not on Bun: there it is the open files of a process. @default 10_000 */
  readonly connectionsMax: number;
  /** Requests on one connection, which is closed then. Not on Bun. @default 10_000 */
  readonly requestsPerConnectionMax: number;
  /** Bytes of a URL; 414, and 431 when it is beyond what headers may have. @default 8_192 */
  readonly urlBytesMax: number;
  /** Bytes of all headers and the URL; 431. On Bun always the default. @default 16_384 */
  readonly headersBytesMax: number;
  /** Bytes of a body; 413. Without a length on Bun alone: apps limit it too. @default 16 MB */
  readonly bodyBytesMax: number;
  /** Bytes of a message of a WebSocket, which is closed then. @default 266_240 */
  readonly messageBytesMax: number;
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
  // A body of a gateway, and what stands around it.
  messageBytesMax: 262_144 + 4_096,
  // What Bun does by itself.
  unreadMsMax: 20_000,
};

/** Bun's clock ticks every four seconds: measured, silent connections are closed after 12. */
const BUN_IDLE_SECONDS = 10;
const NODE_TIMEOUTS = {
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
};

/** A WebSocket that has not answered a ping by the next one is dead. */
const PING_MS = 15_000;
/** What waits for a WebSocket on Bun; `socket.ts` looks by itself where nobody else does. */
const UNREAD_BYTES_MAX = 2 * 1_048_576;
const NOT_UPGRADED = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
/** What timers of the runtimes can wait. */
const TIMER_MS_MAX = 2_147_483_647;

/** What is to be served, and where. */
export interface Serving {
  readonly app: Servable;
  readonly limits: ListenLimits;
  readonly webSocket: boolean;
  readonly port: number;
  readonly hostname: string;
}

/** A server of any runtime. */
export interface Bound {
  readonly port: number;
  /** Closes what is idle; resolves when the last connection is gone. */
  readonly drain: () => Promise<unknown>;
  /** Closes what is left. */
  readonly cut: () => void | Promise<void>;
}

/** The part of `globalThis.Bun` that is used here; its types would come with all its globals. */
export interface BunGlobal {
  serve(options: {
    readonly port: number;
    readonly hostname: string;
    readonly idleTimeout: number;
    readonly development: false;
    readonly reusePort: false;
    readonly maxRequestBodySize: number;
    readonly websocket?: object;
    fetch(request: Request, server: BunServer): Response | Promise<Response>;
  }): BunServer;
}

interface BunServer {
  readonly port: number;
  timeout(request: Request, seconds: number): void;
  stop(closeActiveConnections: boolean): Promise<void>;
}

/** The limits of a port. @throws {RangeError} for one that is not above 0 */
export function limitsOf(given: Partial<ListenLimits> = {}): ListenLimits {
  const limits = { ...LIMITS, ...given };
  for (const [name, value] of Object.entries(limits)) {
    if (!(value >= 1)) throw new RangeError(`Cannot limit ${name} to ${value}: write 1 or more`);
  }
  return limits;
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

/** Serves on Bun. */
export async function bindBun(bun: BunGlobal, serving: Serving): Promise<Bound> {
  const { app, limits, port, hostname, webSocket } = serving;
  const server = bun.serve({
    port,
    hostname,
    ...(webSocket && { websocket: await bunSockets(limits) }),
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

async function bunSockets({ messageBytesMax }: ListenLimits): Promise<object> {
  const { websocket } = await import("hono/bun");
  return {
    ...websocket,
    maxPayloadLength: messageBytesMax,
    // Bun sends a ping before that.
    idleTimeout: (2 * PING_MS) / 1_000,
    sendPings: true,
    backpressureLimit: UNREAD_BYTES_MAX,
    closeOnBackpressureLimit: true,
  };
}

/** Serves on Node.js and Deno. */
export async function bindNode(serving: Serving): Promise<Bound> {
  const { app, limits, port, hostname, webSocket } = serving;
  const adapter = await loadPackage("@hono/node-server", () => import("@hono/node-server"));
  const sockets = webSocket ? await nodeSockets(limits) : undefined;
  const server = adapter.createAdaptorServer({
    fetch: (request, env) => app.fetch(request, env),
    ...(sockets && { websocket: { server: sockets as object as WebSocketServerLike } }),
    hostname,
    serverOptions: { ...NODE_TIMEOUTS, maxHeaderSize: limits.headersBytesMax },
  }) as Server;
  server.maxConnections = limits.connectionsMax;
  server.maxRequestsPerSocket = limits.requestsPerConnectionMax;
  if (sockets) upgradeSocketsAlone(server);
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
    cut: () => {
      server.closeAllConnections();
      for (const socket of sockets?.clients ?? []) socket.terminate();
    },
  };
}

async function nodeSockets({ messageBytesMax }: ListenLimits): Promise<WebSocketServer> {
  const { WebSocketServer: Sockets } = await loadPackage("ws", () => import("ws"));
  const sockets = new Sockets({ noServer: true, maxPayload: messageBytesMax });
  const silent = new Set<WebSocket>();
  sockets.on("connection", (socket) => {
    socket.on("pong", () => silent.delete(socket));
    socket.once("close", () => silent.delete(socket));
  });
  const timer = setInterval(() => {
    for (const socket of sockets.clients) {
      if (silent.has(socket)) socket.terminate();
      silent.add(socket);
      socket.ping();
    }
  }, PING_MS);
  sockets.once("close", () => clearInterval(timer));
  return sockets;
}

/**
 * Sends away who wants to become anything else. The adapter leaves such a connection as it is: if
 * it is reset nobody hears the error, which ends the process. And no timeout holds for who
 * upgrades, so one whose answer is written is gone, whether or not he hangs up.
 */
function upgradeSocketsAlone(server: Server): void {
  const [upgrade] = server.listeners("upgrade");
  server.removeAllListeners("upgrade");
  server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    socket.once("finish", () => socket.destroy());
    if (request.headers.upgrade?.toLowerCase() !== "websocket") socket.end(NOT_UPGRADED);
    else upgrade!.call(server, request, socket, head);
  });
}

/** Cuts off who does not read: what waits for him would stay in memory as long as he likes. */
function cutUnread(server: Server, { unreadMsMax }: ListenLimits): void {
  const sent = new Map<Socket, number>();
  server.on("connection", (socket) => {
    sent.set(socket, 0);
    socket.once("close", () => sent.delete(socket));
  });
  const timer = setInterval(
    () => {
      for (const [socket, before] of sent) {
        const now = socket.bytesWritten - socket.writableLength;
        if (socket.writableLength > 0 && now === before) socket.destroy();
        else sent.set(socket, now);
      }
    },
    Math.min(unreadMsMax, TIMER_MS_MAX),
  );
  server.once("close", () => clearInterval(timer));
}

/** The code of an error of the system. */
export function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
