/**
 * The first three frames of a connection: both sides prove that they know the secret without
 * sending it, and agree on protocol and cluster.
 *
 * ```
 * server ─ { catga, protocol, cluster, nonce } ──────────────────────────▶ client
 * server ◀─ { protocol, cluster, purpose, incarnation, nonce, proof } ──── client
 * server ─ { proof } or { code, details } ───────────────────────────────▶ client
 * ```
 *
 * A proof is HMAC-SHA-256 of the secret over the side's role and all that was said before, so it
 * serves for this connection and this side only.
 *
 * Between machines all further frames are sealed, under keys that are made in the same way and
 * never sent; with certificates everything goes over TLS. On the loopback of one machine nobody can
 * change or add anything but root, who can read the secret, too: there a seal would cost 10 to 20 %
 * of the throughput, and protect nothing.
 */
import { Buffer } from "node:buffer";
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { AddressInfo, Socket } from "node:net";
import { systemClock } from "../../base/clock.ts";
import { CatgaError } from "../../base/errors.ts";
import {
  FRAME_BYTES_MAX,
  HANDSHAKE_TIMEOUT_MS,
  PROTOCOL,
  STRANGERS_MAX,
} from "../../base/limits.ts";
import type { Logger } from "../../base/logger.ts";
import type { Certificates } from "../../ports/certificates.ts";
import { connectTo, serverFor } from "./certificates.ts";
import { Seal } from "./seal.ts";
import { Wire } from "./wire.ts";

/** Who talks, and what for; both sides share all but the incarnation. */
export interface Identity {
  readonly cluster: string;
  readonly secret: string;
  readonly purpose: "authority" | "link" | "node";
  readonly incarnation: string;
  readonly log: Logger;
  /** Without them everything is said in plain text. */
  readonly tls?: Certificates | undefined;
}

/** Where to listen; port 0 is any that is free. */
export interface Place {
  readonly host: string;
  readonly port: number;
}

/** A port that is listened on. */
export interface Door {
  readonly address: string;
  /** Gives the port back, and hangs up on whoever came by it. */
  close(): void;
}

const NO_CATGA = "something else listens there; give the nodes a port of their own";
const BROKEN_SEAL =
  "a connection is ended: a frame was changed, repeated, left out or added on its way";

/**
 * Connects to `address` and introduces itself.
 *
 * @throws {CatgaError} PORT_TAKEN, PROTOCOL_MISMATCH, CLUSTER_MISMATCH, WRONG_SECRET; the socket's
 * own error when nobody listens, hangs up or is silent.
 */
export async function dial(address: string, who: Identity): Promise<Wire> {
  const { cluster, purpose, incarnation, tls } = who;
  const [, host = "", port] = /^(.*):(\d+)$/.exec(address) ?? [];
  const place = { host, port: Number(port) };
  const wire = new Wire(connectTo(place, tls));
  await converse(wire, async () => {
    const { catga, protocol, cluster: theirs, nonce: theirNonce } = await wire.read();
    if (catga !== true || typeof protocol !== "number") {
      throw new CatgaError("PORT_TAKEN", { address, reason: NO_CATGA });
    }
    if (protocol !== PROTOCOL) {
      throw new CatgaError("PROTOCOL_MISMATCH", { ours: PROTOCOL, theirs: protocol, address });
    }
    if (theirs !== cluster) {
      throw new CatgaError("CLUSTER_MISMATCH", { ours: cluster, theirs: String(theirs), address });
    }
    const nonce = randomBytes(16).toString("hex");
    const { proof, theirProof, seal } = secretsOf(who, "client", [theirNonce, nonce]);
    wire.writeJson({ protocol: PROTOCOL, cluster, purpose, incarnation, nonce, proof });
    const answer = await wire.read();
    if (!isEqual(answer["proof"], theirProof)) throw new CatgaError("WRONG_SECRET", { address });
    seal(wire);
  });
  return wire;
}

/**
 * Listens at `place`; `welcome` hears of every caller that has introduced itself. Rejects with the
 * socket's own error.
 */
export function openDoor(
  place: Place,
  who: Identity,
  welcome: (incarnation: string, wire: Wire) => void,
): Promise<Door> {
  const wires = new Set<Wire>();
  /** In the order in which they came, by where they are. */
  const strangers = new Map<string, Socket>();
  const meet = (socket: Socket): void => {
    const wire = new Wire(socket);
    wires.add(wire);
    wire.onClose(() => wires.delete(wire));
    greet(wire, who).then(
      (incarnation) => {
        strangers.delete(placeOf(socket));
        welcome(incarnation, wire);
      },
      () => {}, // A stranger: the handshake has told it why and closed the connection.
    );
  };
  const server = serverFor(meet, who.tls);
  server.on("connection", (socket: Socket) => {
    const at = placeOf(socket);
    strangers.set(at, socket);
    socket.once("close", () => {
      if (strangers.get(at) === socket) strangers.delete(at);
    });
    const [[first, oldest] = [at, socket]] = strangers;
    if (strangers.size <= STRANGERS_MAX) return;
    strangers.delete(first);
    oldest.destroy();
  });
  return new Promise((resolve, reject) => {
    server.on("error", reject); // Later ones are of single connections.
    server.listen({ ...place, exclusive: true }, () => {
      resolve({
        address: `${place.host}:${(server.address() as AddressInfo).port}`,
        close() {
          server.close();
          for (const wire of wires) wire.hangUp();
          for (const socket of strangers.values()) socket.destroy();
        },
      });
    });
  });
}

function placeOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** Resolves to who calls; rejects when the caller cannot prove that it belongs here. */
function greet(wire: Wire, who: Identity): Promise<string> {
  const { cluster, purpose } = who;
  return converse(wire, async () => {
    const ourNonce = randomBytes(16).toString("hex");
    wire.writeJson({ catga: true, protocol: PROTOCOL, cluster, nonce: ourNonce });
    const { incarnation, nonce, proof: shown, ...theirs } = await wire.read();
    const isOurs = theirs["protocol"] === PROTOCOL && theirs["cluster"] === cluster;
    if (!isOurs || theirs["purpose"] !== purpose || typeof incarnation !== "string") {
      throw new Error("the caller is a stranger");
    }
    const caller: Identity = { ...who, incarnation };
    const { proof, theirProof, seal } = secretsOf(caller, "server", [ourNonce, nonce]);
    if (!isEqual(shown, theirProof)) {
      wire.writeJson({ code: "WRONG_SECRET" });
      throw new Error("the caller knows another secret");
    }
    wire.writeJson({ proof });
    seal(wire);
    return incarnation;
  });
}

/** Lets both sides talk, and not for long; their frames may be large from then on. */
export async function converse<T>(wire: Wire, talk: () => Promise<T>): Promise<T> {
  const cancel = systemClock.after(HANDSHAKE_TIMEOUT_MS, () => {
    wire.destroy(new Error("the other side is silent"));
  });
  try {
    return await talk();
  } catch (error) {
    wire.hangUp();
    throw error;
  } finally {
    cancel();
    wire.frameBytesMax = FRAME_BYTES_MAX;
  }
}

/** What only the two sides of a connection that `caller` has made can know; we are one of them. */
function secretsOf(
  { secret, cluster, purpose, incarnation, log }: Identity,
  us: "client" | "server",
  nonces: readonly unknown[],
): { readonly proof: string; readonly theirProof: string; readonly seal: (wire: Wire) => void } {
  const them = us === "client" ? "server" : "client";
  const derive = (what: string): Buffer => {
    const said = JSON.stringify([what, ...nonces, cluster, purpose, incarnation]);
    return createHmac("sha256", secret).update(said).digest();
  };
  return {
    proof: derive(us).toString("hex"),
    theirProof: derive(them).toString("hex"),
    seal: (wire) => {
      if (purpose !== "node") return;
      const [ours, theirs] = [us, them].map((side) => new Seal(derive(`frames of the ${side}`)));
      const broken = (): void => log.error({ purpose, caller: incarnation }, BROKEN_SEAL);
      wire.seal({ ours: ours!, theirs: theirs!, broken });
    },
  };
}

function isEqual(proof: unknown, expected: string): boolean {
  const ours = Buffer.from(expected);
  const theirs = Buffer.from(String(proof));
  return ours.length === theirs.length && timingSafeEqual(ours, theirs);
}
