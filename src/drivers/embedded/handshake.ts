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
import { connect, type Socket } from "node:net";
import { CatgaError } from "../../base/errors.ts";
import { FRAME_BYTES_MAX, HANDSHAKE_TIMEOUT_MS, PROTOCOL } from "../../base/limits.ts";
import { type Json, Wire } from "./wire.ts";

/** Who connects, and what for. */
export interface Caller {
  readonly purpose: "authority" | "link";
  readonly incarnation: string;
}

/** What both sides must share. */
export interface Membership {
  readonly cluster: string;
  readonly secret: string;
}

const HANDSHAKE_BYTES_MAX = 4_096;
const NO_CATGA =
  "something else listens there; give all nodes a free port by transport " +
  '"tcp://127.0.0.1:<port>"';

/**
 * Connects to `address` and introduces itself.
 *
 * @throws {CatgaError} PORT_TAKEN, PROTOCOL_MISMATCH, CLUSTER_MISMATCH, WRONG_SECRET; the socket's
 * own error when nobody listens.
 */
export async function dial(
  address: string,
  { cluster, secret }: Membership,
  caller: Caller,
): Promise<Wire> {
  const [host = "", port = ""] = address.split(":");
  const socket = connect({ host, port: Number(port), noDelay: true });
  const foreign = new CatgaError("PORT_TAKEN", { address, reason: NO_CATGA });
  return converse(socket, foreign, async (wire) => {
    const { catga, protocol, cluster: theirs, nonce: theirNonce } = await wire.read();
    if (catga !== true || typeof protocol !== "number") throw foreign;
    if (protocol !== PROTOCOL) {
      throw new CatgaError("PROTOCOL_MISMATCH", { ours: PROTOCOL, theirs: protocol, address });
    }
    if (theirs !== cluster) {
      throw new CatgaError("CLUSTER_MISMATCH", { ours: cluster, theirs: String(theirs), address });
    }
    const nonce = randomBytes(16).toString("hex");
    const said = [theirNonce, nonce, cluster, caller.purpose, caller.incarnation];
    const proof = prove(secret, ["client", ...said]);
    wire.writeJson({ ...caller, protocol: PROTOCOL, cluster, nonce, proof });
    const answer = await wire.read();
    if (isEqual(answer["proof"], prove(secret, ["server", ...said]))) return wire;
    throw new CatgaError("WRONG_SECRET", { address });
  });
}

/** Answers a connection; rejects when the caller cannot prove that it belongs here. */
export function greet(
  socket: Socket,
  { cluster, secret }: Membership,
): Promise<{ readonly wire: Wire; readonly caller: Caller }> {
  const stranger = new Error("the caller is a stranger");
  return converse(socket, stranger, async (wire) => {
    const nonce = randomBytes(16).toString("hex");
    wire.writeJson({ catga: true, protocol: PROTOCOL, cluster, nonce });
    const frame = await wire.read();
    const caller = callerOf(frame);
    if (frame["protocol"] !== PROTOCOL || frame["cluster"] !== cluster || caller === undefined) {
      throw stranger;
    }
    const said = [nonce, frame["nonce"], cluster, caller.purpose, caller.incarnation];
    if (!isEqual(frame["proof"], prove(secret, ["client", ...said]))) {
      wire.writeJson({ code: "WRONG_SECRET" });
      throw stranger;
    }
    wire.writeJson({ proof: prove(secret, ["server", ...said]) });
    return { wire, caller };
  });
}

function callerOf({ purpose, incarnation }: Json): Caller | undefined {
  const isPurpose = purpose === "authority" || purpose === "link";
  return isPurpose && typeof incarnation === "string" ? { purpose, incarnation } : undefined;
}

/** Lets both sides talk in small frames; silence is no language of ours. */
async function converse<T>(
  socket: Socket,
  foreign: Error,
  talk: (wire: Wire) => Promise<T>,
): Promise<T> {
  const wire = new Wire(socket);
  wire.frameBytesMax = HANDSHAKE_BYTES_MAX;
  let isSilent = false;
  const silence = (): void => {
    isSilent = true;
    socket.destroy();
  };
  socket.setTimeout(HANDSHAKE_TIMEOUT_MS).once("timeout", silence);
  try {
    return await talk(wire);
  } catch (error) {
    wire.hangUp();
    throw isSilent ? foreign : error;
  } finally {
    socket.removeListener("timeout", silence);
    if (!socket.destroyed && !socket.writableEnded) socket.setTimeout(0);
    wire.frameBytesMax = FRAME_BYTES_MAX;
  }
}

function prove(secret: string, said: readonly unknown[]): string {
  return createHmac("sha256", secret).update(JSON.stringify(said)).digest("hex");
}

function isEqual(proof: unknown, expected: string): boolean {
  const ours = Buffer.from(expected);
  const theirs = Buffer.from(String(proof));
  return ours.length === theirs.length && timingSafeEqual(ours, theirs);
}
