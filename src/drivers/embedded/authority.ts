/**
 * A node's way to the hub. Whoever can bind the port is the hub, and its own client like all
 * others. When the hub goes away, all of them do the same again; what they know goes with them.
 */
import type { Server } from "node:net";
import { CatgaError, isCatgaError } from "../../base/errors.ts";
import { JOIN_TIMEOUT_MS } from "../../base/limits.ts";
import type { Authority, AuthorityListener, Snapshot } from "../../ports/authority.ts";
import { type CasResult, type Change, type Entry, Ledger } from "../../protocol/ledger.ts";
import { dial } from "./handshake.ts";
import { bindHub, Hub, type HubAccess } from "./hub.ts";
import { type JsonWire, LocalEnd } from "./wire.ts";

interface Waiting {
  readonly resolve: (results: CasResult[]) => void;
  readonly reject: (error: Error) => void;
}

const RETRY_MS = 5;
const UNKNOWN = "the connection to the hub ended before its answer";

/** See the file's header. */
export class HubAuthority implements Authority {
  readonly #access: HubAccess;
  readonly #known = new Ledger();
  #generation = 0;
  #hub: Hub | undefined;
  #wire: JsonWire | undefined;
  #listener: AuthorityListener | undefined;
  #requests = 0;
  readonly #waiting = new Map<number, Waiting>();

  constructor(access: HubAccess) {
    this.#access = access;
  }

  open(listener: AuthorityListener): Promise<Snapshot> {
    this.#listener = listener;
    this.#access.register.enter();
    return this.#connect();
  }

  casMany(changes: readonly Change[]): Promise<CasResult[]> {
    const wire = this.#wire;
    if (wire === undefined) return Promise.reject(new Error(UNKNOWN));
    const id = ++this.#requests;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      wire.writeJson({ id, changes });
    });
  }

  async close(): Promise<void> {
    this.#listener = undefined;
    this.#access.register.leave();
    this.#hub?.close();
    this.#wire?.destroy();
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
      if (server !== undefined) return this.#subscribe(this.#openHub(server));
      try {
        const { membership, self } = this.#access;
        const caller = { purpose: "authority", incarnation: self } as const;
        return await this.#subscribe(await dial(`127.0.0.1:${port}`, membership, caller));
      } catch (error) {
        if (isCatgaError(error) || clock.nowMs() >= untilMs) throw translated(error, port);
      }
      await new Promise<void>((resolve) => void clock.after(RETRY_MS, resolve));
    }
    throw new Error("Cannot join: the node was closed meanwhile");
  }

  /** The way from this process to the hub in it. */
  #openHub(server: Server): JsonWire {
    this.#hub = new Hub({ ...this.#access, server });
    const [here, there] = [new LocalEnd(), new LocalEnd()];
    here.other = there;
    there.other = here;
    this.#hub.serve(this.#access.self, there);
    return here;
  }

  #subscribe(wire: JsonWire): Promise<Snapshot> {
    return new Promise((resolve, reject) => {
      wire.onClose((error) => {
        reject(error);
        this.#ended(wire);
      });
      wire.receiveJson((message) => {
        if (message["snapshot"] !== undefined) {
          this.#wire = wire;
          const snapshot = message["snapshot"] as Snapshot;
          this.#generation = snapshot.generation;
          this.#known.merge(snapshot.entries);
          resolve(snapshot);
        } else if (message["entries"] !== undefined) {
          const entries = message["entries"] as Entry[];
          this.#known.merge(entries);
          this.#listener?.changed(entries);
        } else {
          const id = Number(message["id"]);
          this.#waiting.get(id)?.resolve(message["results"] as CasResult[]);
          this.#waiting.delete(id);
        }
        return true;
      });
      wire.writeJson({ generation: this.#generation, known: this.#known.entries() });
    });
  }

  #ended(wire: JsonWire): void {
    if (this.#wire !== wire) return;
    this.#wire = undefined;
    this.#rejectAll();
    if (this.#listener === undefined) return;
    this.#connect().then(
      (snapshot) => this.#listener?.resynced(snapshot),
      (error: Error) => this.#listener?.lost(error),
    );
  }

  #rejectAll(): void {
    for (const { reject } of this.#waiting.values()) reject(new Error(UNKNOWN));
    this.#waiting.clear();
  }
}

function translated(error: unknown, port: number): Error {
  if (isCatgaError(error)) return error;
  const reason = `its owner does not answer (${String(error)})`;
  return new CatgaError("PORT_TAKEN", { address: `127.0.0.1:${port}`, reason });
}
