/** How the broker is reached, and who is asking. */
import { readFile } from "node:fs/promises";
import { connect, credsAuthenticator, errors } from "@nats-io/transport-node";
import type { NatsConnection, NodeConnectionOptions, TlsOptions } from "@nats-io/transport-node";
import type { Exposure } from "../tcp/exposure.ts";
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

/**
 * The client is kept from two of its habits: it gives up after ten tries, and notices a silent peer
 * after minutes.
 */
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
  const fail = (code: "BROKER_REFUSED" | "BROKER_UNREACHABLE", error: unknown): never => {
    const details = { address: hosts.join(", "), reason: describeError(error).text };
    throw new CatgaError(code, details, { cause: error });
  };
  const proof = await proofOf(access, servers[0]!).catch((e: unknown) => fail("BROKER_REFUSED", e));
  const tls = access.tls ?? (servers.some(({ protocol }) => protocol === "tls:") ? {} : null);
  return connect({ ...MANNERS, name, servers: hosts, tls, ...proof }).catch((error: unknown) => {
    const isRefusal = error instanceof errors.AuthorizationError;
    return fail(isRefusal ? "BROKER_REFUSED" : "BROKER_UNREACHABLE", error);
  });
}

/** Who can read or forge what is said to one of `servers`, as `info` and the options have it. */
export function exposureTo(
  servers: readonly URL[],
  info: NatsConnection["info"],
  access: Access,
): Exposure {
  const isAsked = access.tls !== undefined || servers.some(({ protocol }) => protocol === "tls:");
  return {
    address: servers.map(({ host }) => host).join(", "),
    hosts: servers.map(({ hostname }) => hostname),
    hasLogin: info?.auth_required === true || info?.tls_verify === true,
    hasTls: info?.tls_required === true || (info?.tls_available === true && isAsked),
  };
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
    const authenticator = credsAuthenticator(await readFile(credentials));
    // What is not there or no such file shows here, and not as a connection that closes.
    authenticator("");
    return { authenticator };
  }
  if (token !== undefined) return { token };
  if (user !== undefined) return { user, pass: pass ?? "" };
  const [name, word] = [decodeURIComponent(username), decodeURIComponent(password)];
  if (word !== "") return { user: name, pass: word };
  return name === "" ? {} : { token: name };
}
