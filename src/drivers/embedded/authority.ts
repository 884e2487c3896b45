/**
 * A node's way to the hub: it is the hub if it can bind the port, else a client of whoever did.
 * When the hub goes away, all of them do the same again; what they know goes with them.
 */
import type { Server, Socket } from "node:net";
import { CatgaError, isCatgaError } from "../../base/errors.ts";
import { JOIN_TIMEOUT_MS } from "../../base/limits.ts";
import type { Authority, AuthorityListener, Snapshot } from "../../ports/authority.ts";
import { type CasResult, type Change, type Entry, Ledger } from "../../protocol/ledger.ts";
import { dial } from "./handshake.ts";
import { bindHub, Hub, type HubAccess, type Inheritance } from "./hub.ts";
import { readJson, receiveFrames, writeJson } from "./wire.ts";

interface Waiting {
  readonly resolve: (results: CasResult[]) => void;
  readonly reject: (error: Error) => void;
}

type Role =
  | { readonly kind: "none" }
  | { readonly kind: "hub"; readonly hub: Hub }
  | { readonly kind: "client"; readonly socket: Socket };

const RETRY_MS = 5;
const UNKNOWN = "the connection to the hub ended before its answer";

/** See the file's header. */
export class HubAuthority implements Authority {
  readonly #access: HubAccess;
  readonly #known = new Ledger();
  #generation = 0;
  #role: Role = { kind: "none" };
  #listener: AuthorityListener | undefined;
  #requests = 0;
  readonly #waiting = new Map<number, Waiting>();

  constructor(access: HubAccess) {
    this.#access = access;
  }

  async open(listener: AuthorityListener): Promise<Snapshot> {
    this.#listener = listener;
    this.#access.register.enter();
    const snapshot = await this.#connect();
    this.#take(snapshot);
    return snapshot;
  }

  casMany(changes: readonly Change[]): Promise<CasResult[]> {
    const role = this.#role;
    if (role.kind === "hub") return role.hub.casMany(changes);
    if (role.kind === "none") return Promise.reject(new Error(UNKNOWN));
    const id = ++this.#requests;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      writeJson(role.socket, { id, changes });
    });
  }

  async close(): Promise<void> {
    this.#listener = undefined;
    this.#access.register.leave();
    const role = this.#role;
    this.#role = { kind: "none" };
    if (role.kind === "hub") role.hub.close();
    if (role.kind === "client") role.socket.destroy();
    this.#rejectAll();
  }

  /**
   * Binds or dials until one of them succeeds; the two race with other processes doing the same.
   */
  async #connect(): Promise<Snapshot> {
    const { port, clock } = this.#access;
    const untilMs = clock.nowMs() + JOIN_TIMEOUT_MS;
    while (this.#listener !== undefined) {
      const server = await bindHub(port);
      if (server !== undefined) return this.#becomeHub(server);
      try {
        return await this.#becomeClient();
      } catch (error) {
        if (isCatgaError(error) || clock.nowMs() >= untilMs) throw translated(error, port);
      }
      await new Promise<void>((resolve) => void clock.after(RETRY_MS, resolve));
    }
    throw new Error("Cannot join: the node was closed meanwhile");
  }

  #becomeHub(server: Server): Promise<Snapshot> {
    const hub = new Hub({ ...this.#access, server, inherited: this.#inheritance });
    this.#role = { kind: "hub", hub };
    return hub.subscribe((entries) => this.#changed(entries));
  }

  async #becomeClient(): Promise<Snapshot> {
    const { port, membership, self } = this.#access;
    const caller = { purpose: "authority", incarnation: self } as const;
    const connection = await dial(`127.0.0.1:${port}`, membership, caller);
    const { socket } = connection;
    return new Promise((resolve, reject) => {
      socket.once("close", () => {
        reject(new Error(UNKNOWN));
        this.#ended(socket);
      });
      receiveFrames(connection, (frame) => {
        const message = readJson(frame);
        if (message === undefined) return false;
        if (message["snapshot"] !== undefined) {
          this.#role = { kind: "client", socket };
          resolve(message["snapshot"] as Snapshot);
        } else if (message["entries"] !== undefined) {
          this.#changed(message["entries"] as Entry[]);
        } else {
          this.#answered(message["id"] as number, message["results"] as CasResult[]);
        }
        return true;
      });
      writeJson(socket, this.#inheritance);
    });
  }

  get #inheritance(): Inheritance {
    return { generation: this.#generation, known: this.#known.entries() };
  }

  #ended(socket: Socket): void {
    if (this.#role.kind !== "client" || this.#role.socket !== socket) return;
    this.#role = { kind: "none" };
    this.#rejectAll();
    if (this.#listener === undefined) return;
    this.#connect().then(
      (snapshot) => {
        this.#take(snapshot);
        this.#listener?.resynced(snapshot);
      },
      (error: Error) => this.#listener?.lost(error),
    );
  }

  #rejectAll(): void {
    for (const { reject } of this.#waiting.values()) reject(new Error(UNKNOWN));
    this.#waiting.clear();
  }

  #take(snapshot: Snapshot): void {
    this.#generation = snapshot.generation;
    this.#known.merge(snapshot.entries);
  }

  #changed(entries: readonly Entry[]): void {
    this.#known.merge(entries);
    this.#listener?.changed(entries);
  }

  #answered(id: number, results: CasResult[]): void {
    this.#waiting.get(id)?.resolve(results);
    this.#waiting.delete(id);
  }
}

function translated(error: unknown, port: number): Error {
  if (isCatgaError(error)) return error;
  const address = `127.0.0.1:${port}`;
  const reason = `its owner does not answer (${String(error)})`;
  return new CatgaError("PORT_TAKEN", { address, reason });
}
