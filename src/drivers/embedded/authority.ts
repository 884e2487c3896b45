/**
 * A node's way to the hub. Whoever can bind the port is the hub, and its own client like all
 * others. When the hub goes away, all of them do the same again; what they know goes with them.
 */
import { CatgaError, isCatgaError } from "../../base/errors.ts";
import { JOIN_TIMEOUT_MS } from "../../base/limits.ts";
import type { Authority, AuthorityListener, Snapshot } from "../../ports/authority.ts";
import { type CasResult, type Change, type Entry, Ledger } from "../../protocol/ledger.ts";
import { dial } from "../tcp/handshake.ts";
import { HOST, Hub, type HubAccess } from "./hub.ts";
import { type JsonWire, localWires } from "../tcp/wire.ts";

interface Waiting {
  readonly resolve: (results: CasResult[]) => void;
  readonly reject: (error: Error) => void;
}

type SocketError = Error & { readonly code?: string };

const RETRY_MS = 5;
/** Who holds the port and hangs up for so long is no hub that goes away, but something else. */
const STRANGER_MS = 1_000;
const UNKNOWN = "the connection to the hub ended before its answer";

/** See the file's header. */
export class HubAuthority implements Authority {
  readonly #access: HubAccess;
  readonly #known = new Ledger();
  #generation = 0;
  #hub: Hub | undefined;
  #wire: JsonWire | undefined;
  /** True from the hub's snapshot to its end. */
  #isServed = false;
  #listener: AuthorityListener | undefined;
  #requests = 0;
  readonly #waiting = new Map<number, Waiting>();

  constructor(access: Omit<HubAccess, "purpose">) {
    this.#access = { ...access, purpose: "authority" };
  }

  open(listener: AuthorityListener): Promise<Snapshot> {
    this.#listener = listener;
    return this.#connect();
  }

  casMany(changes: readonly Change[]): Promise<CasResult[]> {
    const wire = this.#wire;
    if (wire === undefined || !this.#isServed) return Promise.reject(new Error(UNKNOWN));
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
    this.#disconnect();
  }

  /**
   * Binds or dials until one of them succeeds; the two race with other processes doing the same.
   */
  async #connect(): Promise<Snapshot> {
    const { port, clock, register } = this.#access;
    const address = `${HOST}:${port}`;
    const untilMs = clock.nowMs() + JOIN_TIMEOUT_MS;
    // Who belongs to a cluster gives a hub that is slow to take over all that time.
    const patienceMs = this.#generation === 0 ? STRANGER_MS : JOIN_TIMEOUT_MS;
    /** When the port was last known to be free, or a hub's. */
    let fineMs = clock.nowMs();
    while (this.#listener !== undefined) {
      register.enter();
      try {
        const wire = (await this.#openHub()) ?? (await dial(address, this.#access));
        fineMs = clock.nowMs();
        const snapshot = await this.#subscribe(wire);
        // Again: a hub that had not heard of this node in time has struck it off.
        register.enter();
        return snapshot;
      } catch (error) {
        if (isCatgaError(error)) throw error;
        if ((error as SocketError).code === "ECONNREFUSED") fineMs = clock.nowMs();
        if (clock.nowMs() >= Math.min(untilMs, fineMs + patienceMs)) {
          const reason = `nobody there lets this node in (${String(error)})`;
          throw new CatgaError("PORT_TAKEN", { address, reason });
        }
      }
      await new Promise<void>((resolve) => void clock.after(RETRY_MS, resolve));
    }
    throw new Error("Cannot join: the node was closed meanwhile");
  }

  /** The way to the hub in this process, or nothing when another process holds the port. */
  async #openHub(): Promise<JsonWire | undefined> {
    const hub = new Hub(this.#access);
    try {
      await hub.open();
    } catch (error) {
      if ((error as SocketError).code === "EADDRINUSE") return undefined;
      throw error;
    }
    this.#hub = hub;
    const [here, there] = localWires();
    hub.serve(this.#access.incarnation, there);
    return here;
  }

  async #subscribe(wire: JsonWire): Promise<Snapshot> {
    this.#wire = wire;
    // Closed while it was on its way: what has come up meanwhile is closed as well.
    if (this.#listener === undefined) {
      await this.close();
      throw new Error(UNKNOWN);
    }
    return new Promise((resolve, reject) => {
      wire.onClose((error) => {
        reject(error);
        this.#ended(wire);
      });
      wire.receiveJson((message) => {
        if (message["snapshot"] !== undefined) {
          const snapshot = message["snapshot"] as Snapshot;
          this.#isServed = true;
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
    const wasServed = this.#isServed;
    this.#disconnect();
    if (!wasServed) return; // It is being tried again already.
    this.#connect().then(
      (snapshot) => this.#listener?.resynced(snapshot),
      (error: Error) => this.#listener?.lost(error),
    );
  }

  #disconnect(): void {
    this.#wire = undefined;
    this.#isServed = false;
    for (const { reject } of this.#waiting.values()) reject(new Error(UNKNOWN));
    this.#waiting.clear();
  }
}
