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
import { CatgaError, isErrorCode } from "../../base/errors.ts";
import { FRAME_BYTES_MAX, HANDSHAKE_TIMEOUT_MS, PROTOCOL } from "../../base/limits.ts";
import { type Connection, FrameCutter, readJson, writeJson } from "./wire.ts";

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

type Json = Readonly<Record<string, unknown>>;
type Outcome = "done" | "more" | { readonly refused: Error };

const HANDSHAKE_BYTES_MAX = 4_096;
const NO_CATGA =
  "something else listens there; give all nodes a free port by transport " +
  '"tcp://127.0.0.1:<port>"';

/**
 * Connects to `port` of this machine and introduces itself.
 *
 * @throws {CatgaError} PORT_TAKEN, PROTOCOL_MISMATCH, CLUSTER_MISMATCH, WRONG_SECRET; the socket's
 * own error when nobody listens.
 */
export async function dial(
  address: string,
  membership: Membership,
  caller: Caller,
): Promise<Connection> {
  const [host = "", port = ""] = address.split(":");
  const socket = connect({ host, port: Number(port), noDelay: true });
  const nonce = randomBytes(16).toString("hex");
  let expected: string | undefined;
  return converse(socket, foreign(address), (frame: Json) => {
    if (expected !== undefined) return conclude(frame, expected, address);
    const refused = checkGreeting(frame, membership, address);
    if (refused !== undefined) return { refused };
    const said = [frame["nonce"], nonce, membership.cluster, caller.purpose, caller.incarnation];
    expected = prove(membership.secret, ["server", ...said]);
    const proof = prove(membership.secret, ["client", ...said]);
    writeJson(socket, { ...caller, protocol: PROTOCOL, cluster: membership.cluster, nonce, proof });
    return "more";
  });
}

/** Answers a connection; rejects when the caller cannot prove that it belongs here. */
export function greet(
  socket: Socket,
  membership: Membership,
): Promise<Connection & { readonly caller: Caller }> {
  const nonce = randomBytes(16).toString("hex");
  const { cluster, secret } = membership;
  writeJson(socket, { catga: true, protocol: PROTOCOL, cluster, nonce });
  let caller: Caller | undefined;
  const conversation = converse(socket, new Error(NO_CATGA), (frame: Json) => {
    const { protocol, purpose, incarnation, proof } = frame;
    const said = [nonce, frame["nonce"], frame["cluster"], purpose, incarnation];
    const isCaller = typeof incarnation === "string" && isPurpose(purpose);
    if (protocol !== PROTOCOL || frame["cluster"] !== cluster || !isCaller) {
      return { refused: new Error(NO_CATGA) };
    }
    if (!equal(proof, prove(secret, ["client", ...said]))) {
      const error = new CatgaError("WRONG_SECRET", { address: "the other side" });
      writeJson(socket, { code: error.code });
      return { refused: error };
    }
    caller = { purpose, incarnation };
    writeJson(socket, { proof: prove(secret, ["server", ...said]) });
    return "done";
  });
  return conversation.then((connection) => ({ ...connection, caller: caller! }));
}

function checkGreeting(frame: Json, ours: Membership, address: string): Error | undefined {
  const { catga, protocol, cluster } = frame;
  if (catga !== true || typeof protocol !== "number") return foreign(address);
  if (protocol !== PROTOCOL) {
    return new CatgaError("PROTOCOL_MISMATCH", { ours: PROTOCOL, theirs: protocol, address });
  }
  if (cluster === ours.cluster) return undefined;
  const theirs = String(cluster);
  return new CatgaError("CLUSTER_MISMATCH", { ours: ours.cluster, theirs, address });
}

function conclude(frame: Json, expected: string, address: string): Outcome {
  if (isErrorCode(frame["code"]) || !equal(frame["proof"], expected)) {
    return { refused: new CatgaError("WRONG_SECRET", { address }) };
  }
  return "done";
}

/** Reads frames until `step` has decided, or the other side is silent, leaves or talks nonsense. */
function converse(
  socket: Socket,
  nonsense: Error,
  step: (frame: Json) => Outcome,
): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const cutter = new FrameCutter();
    cutter.frameBytesMax = HANDSHAKE_BYTES_MAX;
    const end = (): void => {
      socket.setTimeout(0);
      for (const event of ["timeout", "data", "close", "error"]) socket.removeAllListeners(event);
    };
    const refuse = (error: Error): void => {
      end();
      socket.on("error", () => {});
      socket.end(() => socket.destroy());
      reject(error);
    };
    const receive = (): Outcome => {
      let outcome: Outcome = "more";
      while (outcome === "more") {
        const bytes = cutter.next();
        if (bytes === undefined) return cutter.isBroken ? { refused: nonsense } : "more";
        const frame = readJson(bytes);
        outcome = frame === undefined ? { refused: nonsense } : step(frame);
      }
      return outcome;
    };
    socket.setTimeout(HANDSHAKE_TIMEOUT_MS);
    socket.once("timeout", () => refuse(nonsense));
    // Whoever listened may be on its way out: that is worth another try.
    socket.once("close", () => refuse(new Error("the connection closed during the handshake")));
    socket.once("error", refuse);
    socket.on("data", (chunk: Uint8Array) => {
      cutter.push(chunk);
      const outcome = receive();
      if (outcome === "more") return;
      if (outcome !== "done") return refuse(outcome.refused);
      end();
      socket.pause();
      cutter.frameBytesMax = FRAME_BYTES_MAX;
      resolve({ socket, cutter });
    });
  });
}

function prove(secret: string, said: readonly unknown[]): string {
  return createHmac("sha256", secret).update(JSON.stringify(said)).digest("hex");
}

function equal(proof: unknown, expected: string): boolean {
  const ours = Buffer.from(expected);
  const theirs = Buffer.from(String(proof));
  return ours.length === theirs.length && timingSafeEqual(ours, theirs);
}

function isPurpose(purpose: unknown): purpose is Caller["purpose"] {
  return purpose === "authority" || purpose === "link";
}

function foreign(address: string): CatgaError {
  return new CatgaError("PORT_TAKEN", { address, reason: NO_CATGA });
}
