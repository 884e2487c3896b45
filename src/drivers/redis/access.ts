/**
 * How the server is reached, and what a refusal means.
 *
 * Every connection is a client of its own that never reconnects: it is one TCP connection, and when
 * that ends, everything on it has ended. So nothing is queued while there is no connection, and
 * nothing is sent a second time behind our back, which the library does by default.
 */
import type { Redis, RedisOptions as ClientOptions } from "ioredis";
import type { Exposure } from "../tcp/exposure.ts";
import { CatgaError, isCatgaError } from "../../base/errors.ts";
import { HANDSHAKE_TIMEOUT_MS } from "../../base/limits.ts";
import { loadOptional } from "../../base/optional.ts";

/** Where the server is, who asks, and what it is asked under. */
export interface RedisOptions {
  /** `redis://` or `rediss://` with user, password and database; the next options go before it. */
  readonly url?: string;
  /** @default "127.0.0.1" */
  readonly host?: string;
  /** @default 6379 */
  readonly port?: number;
  readonly username?: string;
  readonly password?: string;
  /** `true`, or the options of `node:tls`: a certificate authority of one's own, a client's key. */
  readonly tls?: true | NonNullable<ClientOptions["tls"]>;
  /**
   * A client of ioredis instead of an address: its settings are copied for connections of catga's
   * own. It is never used itself, and never closed.
   */
  readonly client?: Redis;
  /** Stands before the cluster's name in every key and channel. @default "catga" */
  readonly prefix?: string;
}

/** A server as connections are opened to it. */
export interface Access extends Exposure {
  /** A client that is not connected yet. */
  makeClient(): Promise<Redis>;
}

/** Dead connections without anything under way are found by the system after some 15 s. */
const KEEP_ALIVE_MS = 5_000;

const ONE_CONNECTION = {
  lazyConnect: true,
  connectTimeout: HANDSHAKE_TIMEOUT_MS,
  keepAlive: KEEP_ALIVE_MS,
  // See the file's header.
  retryStrategy: () => null,
  reconnectOnError: null,
  enableOfflineQueue: false,
  // What the server says of itself is looked at by us; the right to ask may be missing.
  enableReadyCheck: false,
  disableClientInfo: true,
  // Of a client of one's own: reading the log takes as long as nothing changes.
  commandTimeout: undefined,
  socketTimeout: undefined,
  enableAutoPipelining: false,
  // Replies shaped the same on every version.
  protocol: 2,
  replyMapping: "legacy",
  keyPrefix: "",
} as const satisfies ClientOptions;

/**
 * Checks the options.
 *
 * @throws {TypeError} for an option that is not known, or an address that is none.
 */
export function accessOf(options: RedisOptions): Access {
  const { client } = options;
  const settings: ClientOptions = client === undefined ? settingsOf(options) : client.options;
  const { host = "127.0.0.1", port = 6379, path, tls, password } = settings;
  return {
    address: path ?? `${host}:${port}`,
    hosts: path === undefined ? [host] : [],
    hasLogin: (password ?? "") !== "",
    hasTls: tls !== undefined,
    async makeClient() {
      if (client !== undefined) return client.duplicate(ONE_CONNECTION);
      const library = await loadOptional("ioredis", () => import("ioredis"));
      return new library.Redis({ ...settings, ...ONE_CONNECTION });
    },
  };
}

function settingsOf({ url, tls, host, port, username, password }: RedisOptions): ClientOptions {
  const address = { ...(url !== undefined && settingsOfUrl(url)) };
  const given = Object.entries({ host, port, username, password });
  const others = Object.fromEntries(given.filter(([, value]) => value !== undefined));
  return { ...address, ...others, ...(tls && { tls: tls === true ? {} : tls }) };
}

function settingsOfUrl(text: string): ClientOptions {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const db = /^\/?(\d{0,5})$/.exec(url?.pathname ?? "/");
  const [username, password] = [decoded(url?.username), decoded(url?.password)];
  const isRedis = /^rediss?:$/.test(url?.protocol ?? "") && url!.search + url!.hash === "";
  if (!isRedis || db === null || username === undefined || password === undefined) {
    // Not the text itself: there may be a password in it.
    throw new TypeError('Cannot use this URL: write "redis://user:password@host:port/database"');
  }
  const { hostname, port, protocol } = url!;
  return {
    host: hostname.replaceAll(/^\[|\]$/g, "") || "127.0.0.1",
    port: Number(port || 6379),
    db: Number(db[1]),
    ...(username !== "" && { username }),
    ...(password !== "" && { password }),
    ...(protocol === "rediss:" && { tls: {} }),
  };
}

/** A part of a URL as it was meant; nothing for a percent sign that means nothing. */
function decoded(part = ""): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

/** What a server's or a socket's error means for who wanted to join. */
export function refusalOf(error: unknown, address: string): CatgaError {
  if (isCatgaError(error)) return error;
  const reason = error instanceof Error ? error.message : String(error);
  // The first word of a reply is its code.
  const code = /^[A-Z]+/.exec(reason)?.[0] ?? "";
  if (["WRONGPASS", "NOAUTH", "NOPERM"].includes(code) || reason.startsWith("ERR AUTH")) {
    return new CatgaError("BROKER_REFUSED", { address, reason }, { cause: error });
  }
  if (code === "READONLY") return new CatgaError("BROKER_READ_ONLY", { address }, { cause: error });
  return new CatgaError("BROKER_UNREACHABLE", { address, reason }, { cause: error });
}
