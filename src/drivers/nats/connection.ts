/**
 * The connection of one node to the broker, shared by its authority and its link.
 *
 * The client is kept from three habits: it gives up after ten tries, notices a silent peer after
 * minutes, and throws away what is published while it is disconnected. The first two are settings;
 * for the third, nobody publishes while {@link Connection.isUp} is false.
 */
import { readFile } from "node:fs/promises";
import { connect, credsAuthenticator, errors } from "@nats-io/transport-node";
import type { NatsConnection, NodeConnectionOptions, TlsOptions } from "@nats-io/transport-node";
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
  /** Certificates, or `{}` for the authorities this machine trusts; never without TLS then. */
  readonly tls?: TlsOptions;
}

/** Who hears of the connection's ups and downs. No method may throw. */
export interface ConnectionListener {
  /** It is there again; subscriptions have been made anew, messages in between are lost. */
  up(): void;
  down?(): void;
  /** It was closed, and not by this driver. */
  closed?(): void;
}

/** A broker that hangs is not waited for. */
const FLUSH_MS_MAX = 500;
const MANNERS: NodeConnectionOptions = {
  timeout: 2_000,
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
  readonly clock: Clock;
  /** For errors. */
  readonly address: string;
  readonly #isOwn: boolean;
  readonly #listeners = new Set<ConnectionListener>();
  #isUp: boolean;

  /** Closes `client` in the end only if it `isOwn`. */
  constructor(client: NatsConnection, given: { clock: Clock; address: string; isOwn: boolean }) {
    this.client = client;
    this.clock = given.clock;
    this.address = given.address;
    this.#isOwn = given.isOwn;
    this.#isUp = client.info !== undefined;
    this.#watch().catch(() => this.#end());
  }

  /** True while what is published may arrive. */
  get isUp(): boolean {
    return this.#isUp && !this.client.isClosed();
  }

  /** Keeps the connection until `listener` is {@link release}d. */
  listen(listener: ConnectionListener): void {
    this.#listeners.add(listener);
  }

  /** Sends what is under way; with the last listener goes what this driver has opened. */
  async release(listener: ConnectionListener): Promise<void> {
    const isLast = this.#listeners.delete(listener) && this.#listeners.size === 0;
    // What cannot be sent in time is lost, as frames may be.
    if (this.isUp) await this.within(FLUSH_MS_MAX, this.client.flush()).catch(() => {});
    if (isLast && this.#isOwn) await this.client.close();
  }

  /** What `work` comes to, or a rejection once `limitMs` have passed and `late` was called. */
  within<T>(limitMs: number, work: Promise<T>, late?: () => void): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = this.clock.after(limitMs, () => {
        late?.();
        reject(new Error(`the broker did not answer within ${limitMs} ms`));
      });
      work.then(resolve, reject).finally(cancel);
    });
  }

  async #watch(): Promise<void> {
    for await (const { type } of this.client.status()) {
      if (type !== "disconnect" && type !== "reconnect") continue;
      this.#isUp = type === "reconnect";
      for (const listener of this.#listeners) listener[this.#isUp ? "up" : "down"]?.();
    }
    this.#end();
  }

  #end(): void {
    this.#isUp = false;
    for (const listener of this.#listeners) listener.closed?.();
  }
}

/**
 * Connects to the first of `servers` that answers.
 *
 * @throws {CatgaError} BROKER_UNREACHABLE, BROKER_REFUSED
 */
export async function openConnection(
  access: Access,
  servers: readonly URL[],
  name: string,
): Promise<NatsConnection> {
  const hosts = servers.map(({ host }) => host);
  const tls = access.tls ?? (servers.some(({ protocol }) => protocol === "tls:") ? {} : null);
  const proof = await proofOf(access, servers[0]!);
  try {
    return await connect({ ...MANNERS, name, servers: hosts, tls, ...proof });
  } catch (error) {
    const details = { address: hosts.join(", "), reason: describeError(error).text };
    const isRefusal = error instanceof errors.AuthorizationError;
    const code = isRefusal ? "BROKER_REFUSED" : "BROKER_UNREACHABLE";
    throw new CatgaError(code, details, { cause: error });
  }
}

/**
 * The servers among options.
 *
 * @throws {TypeError} for an address that is none
 */
export function serversOf({ servers = "nats://127.0.0.1:4222" }: Access): URL[] {
  const list = typeof servers === "string" ? [servers] : servers;
  if (list.length === 0) throw new TypeError("Cannot reach NATS: the list of servers is empty");
  return list.map((server) => {
    const url = URL.canParse(server) ? new URL(server) : undefined;
    if (!url?.hostname || (url.protocol !== "nats:" && url.protocol !== "tls:")) {
      // The text may hold a password, so it is not repeated.
      throw new TypeError("Cannot reach NATS: write its address as nats://host:port, or tls://");
    }
    if (url.port === "") url.port = "4222";
    return url;
  });
}

async function proofOf(
  { credentials, token, user, pass }: Access,
  { username, password }: URL,
): Promise<NodeConnectionOptions> {
  if (credentials !== undefined) {
    return { authenticator: credsAuthenticator(await readFile(credentials)) };
  }
  if (token !== undefined) return { token };
  if (user !== undefined) return { user, pass: pass ?? "" };
  const [name, word] = [decodeURIComponent(username), decodeURIComponent(password)];
  if (word !== "") return { user: name, pass: word };
  return name === "" ? {} : { token: name };
}
