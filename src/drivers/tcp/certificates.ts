/** Sockets between nodes: in plain text, or over TLS where both sides have certificates. */
import { Buffer } from "node:buffer";
import { connect, createServer, type Server, type Socket } from "node:net";
import {
  connect as connectTls,
  createSecureContext,
  createServer as createTlsServer,
} from "node:tls";
import { describeError } from "../../base/errors.ts";
import { HANDSHAKE_TIMEOUT_MS } from "../../base/limits.ts";
import type { Certificates } from "../../ports/certificates.ts";

const CODE_OF_TLS = /CERT|SSL|TLS|EPROTO|SIGNATURE|ALTNAME/;

/** A socket on its way to `place`; over TLS whoever is there must prove that it is that host. */
export function connectTo(
  place: { readonly host: string; readonly port: number },
  tls: Certificates | undefined,
): Socket {
  return tls === undefined ? connect(place) : connectTls({ ...place, ...keysOf(tls) });
}

/** A server for `meet`; over TLS a caller needs a certificate of the same authority. */
export function serverFor(meet: (socket: Socket) => void, tls: Certificates | undefined): Server {
  if (tls === undefined) return createServer(meet);
  const checks = { requestCert: true, rejectUnauthorized: true };
  const handshakeTimeout = HANDSHAKE_TIMEOUT_MS;
  return createTlsServer({ ...keysOf(tls), ...checks, handshakeTimeout }, meet);
}

/** True for an error that says that TLS did not come about with whoever is there. */
export function isTlsError(error: Error & { readonly code?: unknown }): boolean {
  return CODE_OF_TLS.test(String(error.code));
}

/**
 * Refuses what is no certificate with its key.
 *
 * @throws {TypeError}
 */
export function checkCertificates(tls: Certificates | undefined): void {
  if (tls === undefined) return;
  try {
    createSecureContext(keysOf(tls));
  } catch (cause) {
    const reason = describeError(cause).text;
    throw new TypeError(`Cannot use tls: write ca, cert and key as PEM (${reason})`, { cause });
  }
}

/** Nothing else that `node:tls` would take. */
function keysOf({ ca, cert, key }: Certificates): Record<"ca" | "cert" | "key", Buffer> {
  return { ca: bytesOf(ca), cert: bytesOf(cert), key: bytesOf(key) };
}

/** Text or bytes: no declaration of `from` takes either. */
function bytesOf(pem: string | Uint8Array): Buffer {
  return Buffer.from(pem as string);
}
