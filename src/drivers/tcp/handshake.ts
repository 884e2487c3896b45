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
 */
import { Buffer } from "node:buffer";
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { type AddressInfo, connect, createServer } from "node:net";
import { systemClock } from "../../base/clock.ts";
import { CatgaError } from "../../base/errors.ts";
import { FRAME_BYTES_MAX, HANDSHAKE_TIMEOUT_MS, PROTOCOL } from "../../base/limits.ts";
import { Wire } from "./wire.ts";

/** Who talks, and what for; both sides share all but the incarnation. */
export interface Identity {
  readonly cluster: string;
  readonly secret: string;
  readonly purpose: "authority" | "link" | "node";
  readonly incarnation: string;
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

/**
 * Connects to `address` and introduces itself.
 *
 * @throws {CatgaError} PORT_TAKEN, PROTOCOL_MISMATCH, CLUSTER_MISMATCH, WRONG_SECRET; the socket's
 * own error when nobody listens, hangs up or is silent.
 */
export async function dial(address: string, who: Identity): Promise<Wire> {
  const { cluster, purpose, incarnation } = who;
  const [, host = "", port] = /^(.*):(\d+)$/.exec(address) ?? [];
  const wire = new Wire(connect({ host, port: Number(port), noDelay: true }));
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
    const [proof, theirProof] = proofs(who, theirNonce, nonce);
    wire.writeJson({ protocol: PROTOCOL, cluster, purpose, incarnation, nonce, proof });
    const answer = await wire.read();
    if (!isEqual(answer["proof"], theirProof)) throw new CatgaError("WRONG_SECRET", { address });
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
  const server = createServer({ noDelay: true }, (socket) => {
    const wire = new Wire(socket);
    wires.add(wire);
    wire.onClose(() => wires.delete(wire));
    greet(wire, who).then(
      (incarnation) => welcome(incarnation, wire),
      () => {}, // A stranger: the handshake has told it why and closed the connection.
    );
  });
  return new Promise((resolve, reject) => {
    server.on("error", reject); // Later ones are of single connections.
    server.listen({ ...place, exclusive: true }, () => {
      resolve({
        address: `${place.host}:${(server.address() as AddressInfo).port}`,
        close() {
          server.close();
          for (const wire of wires) wire.hangUp();
        },
      });
    });
  });
}

/** Resolves to who calls; rejects when the caller cannot prove that it belongs here. */
function greet(wire: Wire, { cluster, purpose, secret }: Identity): Promise<string> {
  return converse(wire, async () => {
    const ourNonce = randomBytes(16).toString("hex");
    wire.writeJson({ catga: true, protocol: PROTOCOL, cluster, nonce: ourNonce });
    const { incarnation, nonce, proof, ...theirs } = await wire.read();
    const isOurs = theirs["protocol"] === PROTOCOL && theirs["cluster"] === cluster;
    if (!isOurs || theirs["purpose"] !== purpose || typeof incarnation !== "string") {
      throw new Error("the caller is a stranger");
    }
    const caller: Identity = { cluster, secret, purpose, incarnation };
    const [theirProof, ourProof] = proofs(caller, ourNonce, nonce);
    if (!isEqual(proof, theirProof)) {
      wire.writeJson({ code: "WRONG_SECRET" });
      throw new Error("the caller knows another secret");
    }
    wire.writeJson({ proof: ourProof });
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

/** How `caller` proves that it knows the secret, and how the server does. */
function proofs(caller: Identity, ...nonces: readonly unknown[]): [string, string] {
  const { secret, cluster, purpose, incarnation } = caller;
  const prove = (side: string): string => {
    const said = JSON.stringify([side, ...nonces, cluster, purpose, incarnation]);
    return createHmac("sha256", secret).update(said).digest("hex");
  };
  return [prove("client"), prove("server")];
}

function isEqual(proof: unknown, expected: string): boolean {
  const ours = Buffer.from(expected);
  const theirs = Buffer.from(String(proof));
  return ours.length === theirs.length && timingSafeEqual(ours, theirs);
}
