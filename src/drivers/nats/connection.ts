/**
 * The connection of one node to the broker, shared by its authority and its link.
 *
 * The client is kept from three habits: it gives up after ten tries, notices a silent peer after
 * minutes, and throws away what is published while it is disconnected. The first two are settings;
 * for the third, nobody publishes while {@link Connection.isUp} is false.
 */
import { readFile } from "node:fs/promises";
import {
  type Authenticator,
  connect,
  credsAuthenticator,
  errors,
  type NatsConnection,
  type NodeConnectionOptions,
} from "@nats-io/transport-node";
import type { Clock } from "../../base/clock.ts";
import { CatgaError, describeError } from "../../base/errors.ts";

/** Where the broker is, and what it wants to be shown. */
export interface Access {
  /** `nats://host:4222`, or `tls://`; user and password, or a token, may stand before the host. */
  readonly servers?: string | readonly string[];
  readonly user?: string;
  readonly pass?: string;
  readonly token?: string;
  /** The path of a credentials file, as `nsc` writes it. */
  readonly credentials?: string;
  /** Certificates, or `true` for the authorities this machine trusts; never without TLS then. */
  readonly tls?: true | TlsFiles;
}

/** Certificates, as text or as paths. */
export interface TlsFiles {
  readonly ca?: string;
  readonly caFile?: string;
  readonly cert?: string;
  readonly certFile?: string;
  readonly key?: string;
  readonly keyFile?: string;
}

/** Who hears of the connection's ups and downs. No method may throw. */
export interface ConnectionListener {
  /** It is there again; subscriptions have been made anew, messages in between are lost. */
  up(): void;
  down(): void;
  /** It was closed, and not by this driver. */
  closed(): void;
}

/** One port's hold on the connection. */
export interface Hold {
  readonly client: NatsConnection;
  readonly isUp: () => boolean;
  listen(listener: ConnectionListener): void;
  /** Sends what is under way; the last one to let go closes what this driver has opened. */
  release(): Promise<void>;
}

const DEFAULT_SERVER = "nats://127.0.0.1:4222";
const CONNECT_TIMEOUT_MS = 2_000;
/** A broker that hangs is not waited for. */
const FLUSH_MS_MAX = 500;
const MANNERS: NodeConnectionOptions = {
  timeout: CONNECT_TIMEOUT_MS,
  maxReconnectAttempts: -1,
  ignoreAuthErrorAbort: true,
  reconnectTimeWait: 50,
  reconnectJitter: 50,
  reconnectJitterTLS: 100,
  pingInterval: 1_000,
  maxPingOut: 2,
  noAsyncTraces: true,
};

/** See the file's header. */
export class Connection {
  readonly client: NatsConnection;
  readonly #clock: Clock;
  readonly #isOwn: boolean;
  readonly #listeners = new Set<ConnectionListener>();
  #isUp: boolean;
  #holds = 0;

  constructor(client: NatsConnection, clock: Clock, { isOwn }: { readonly isOwn: boolean }) {
    this.client = client;
    this.#clock = clock;
    this.#isOwn = isOwn;
    this.#isUp = client.info !== undefined;
    this.#watch().catch(() => this.#ended());
  }

  /** A hold for one port. */
  hold(): Hold {
    this.#holds++;
    let listener: ConnectionListener | undefined;
    let released: Promise<void> | undefined;
    return {
      client: this.client,
      isUp: () => this.#isUp,
      listen: (given) => this.#listeners.add((listener = given)),
      release: () => {
        if (listener !== undefined) this.#listeners.delete(listener);
        released ??= this.#release();
        return released;
      },
    };
  }

  async #release(): Promise<void> {
    this.#holds--;
    if (this.client.isClosed()) return;
    const limitMs = this.#isUp ? FLUSH_MS_MAX : 0;
    // What could not be sent in time is lost, as frames may be.
    await within(this.client.flush(), { clock: this.#clock, limitMs }).catch(() => {});
    if (this.#holds === 0 && this.#isOwn) await this.client.close();
  }

  async #watch(): Promise<void> {
    for await (const { type } of this.client.status()) {
      if (type === "disconnect") {
        this.#isUp = false;
        for (const listener of this.#listeners) listener.down();
      } else if (type === "reconnect") {
        this.#isUp = true;
        for (const listener of this.#listeners) listener.up();
      }
    }
    this.#ended();
  }

  #ended(): void {
    this.#isUp = false;
    for (const listener of this.#listeners) listener.closed();
  }
}

/** What `work` comes to, or a rejection once `limitMs` have passed and `late` was called. */
export function within<T>(
  work: Promise<T>,
  limit: { readonly clock: Clock; readonly limitMs: number; readonly late?: () => void },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = limit.clock.after(limit.limitMs, () => {
      limit.late?.();
      reject(new Error(`it was not finished within ${limit.limitMs} ms`));
    });
    work.then(resolve, reject).finally(cancel);
  });
}

/**
 * Connects to the first server that answers.
 *
 * @throws {CatgaError} BROKER_UNREACHABLE, BROKER_REFUSED
 */
export async function openConnection(access: Access, name: string): Promise<NatsConnection> {
  const urls = serversOf(access).map(parseServer);
  const address = urls.map(({ host }) => host).join(", ");
  try {
    const isTls = access.tls !== undefined || urls.some(({ protocol }) => protocol === "tls:");
    return await connect({
      ...MANNERS,
      name,
      servers: urls.map(({ host }) => host),
      ...(isTls ? { tls: access.tls === true ? {} : { ...access.tls } } : {}),
      ...(await proofOf(access, urls[0]!)),
    });
  } catch (error) {
    const reason = describeError(error).text;
    const isRefusal = error instanceof errors.AuthorizationError;
    const code = isRefusal ? "BROKER_REFUSED" : "BROKER_UNREACHABLE";
    throw new CatgaError(code, { address, reason }, { cause: error });
  }
}

/** Where the broker is, without what it was shown: addresses stand in errors and logs. */
export function addressOf(access: Access): string {
  return serversOf(access)
    .map((server) => parseServer(server).host)
    .join(", ");
}

function serversOf({ servers = DEFAULT_SERVER }: Access): readonly string[] {
  const list = typeof servers === "string" ? [servers] : servers;
  if (list.length > 0) return list;
  throw new TypeError("Cannot reach a broker: the list of its servers is empty");
}

function parseServer(server: string): URL {
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url?.hostname && (url.protocol === "nats:" || url.protocol === "tls:")) {
    if (url.port === "") url.port = "4222";
    return url;
  }
  // The text may hold a password, so it is not repeated.
  throw new TypeError("Cannot use the broker's address: write nats://host:port or tls://host:port");
}

async function proofOf(access: Access, { username, password }: URL): Promise<object> {
  const { credentials, token, user, pass } = access;
  if (credentials !== undefined) {
    const authenticator: Authenticator = credsAuthenticator(await readFile(credentials));
    return { authenticator };
  }
  if (token !== undefined) return { token };
  if (user !== undefined) return { user, pass };
  const [name, word] = [decodeURIComponent(username), decodeURIComponent(password)];
  if (word !== "") return { user: name, pass: word };
  return name === "" ? {} : { token: name };
}
