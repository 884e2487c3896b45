/**
 * The hub: the authority of an embedded cluster, in whichever process holds the loopback port.
 *
 * Exclusive binding makes it one: the kernel gives the port to one process and takes it back when
 * that process dies. A hub that follows another starts with what its own process knew, hears from
 * every node that lives what that one knows (for each key the highest revision counts), and opens
 * when all have spoken, have died, or had the time of a lease to do so. Revisions leap, so that
 * none is given twice. A connection that ends without the node having left is the process's death:
 * the kernel closes the sockets of the dead at once, and a node never closes this one itself.
 */
import { createServer, type Server, type Socket } from "node:net";
import type { Clock } from "../../base/clock.ts";
import type { Snapshot } from "../../ports/authority.ts";
import { type Change, type Entry, isChange, isEntry, Ledger } from "../../protocol/ledger.ts";
import { sessionKey, type SessionRecord } from "../../protocol/records.ts";
import { greet, type Membership } from "./handshake.ts";
import type { Register } from "./register.ts";
import { hangUp, type JsonWire } from "./wire.ts";

const REVISION_LEAP = 2 ** 20;
const RECHECK_MS = 20;

/** What a node needs to be a hub, or a client of one. */
export interface HubAccess {
  readonly port: number;
  readonly membership: Membership;
  readonly self: string;
  readonly clock: Clock;
  readonly leaseMs: number;
  readonly register: Register;
}

/** A server that holds `port` of loopback, or `undefined` when another process does. */
export function bindHub(port: number): Promise<Server | undefined> {
  const server = createServer({ noDelay: true });
  return new Promise((resolve, reject) => {
    server.once("error", (error: Error & { code?: string }) => {
      if (error.code === "EADDRINUSE") resolve(undefined);
      else reject(error);
    });
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => resolve(server));
  });
}

/** See the file's header. */
export class Hub {
  readonly #access: HubAccess & { readonly server: Server };
  readonly #ledger = new Ledger();
  #generation = 0;
  readonly #clients = new Map<string, JsonWire>();
  readonly #sockets = new Set<Socket>();
  /**
   * Nodes that may live on from the last hub and have not spoken, this process's own among them;
   * nothing once the hub is open.
   */
  #awaited: Set<string> | undefined;
  #opened: (() => void)[] = [];
  #cancelWait = (): void => {};
  #cancelCheck = (): void => {};

  constructor(access: HubAccess & { readonly server: Server }) {
    this.#access = access;
    const { clock, server, leaseMs, register, self } = access;
    this.#awaited = new Set([self, ...register.others()]);
    this.#cancelWait = clock.after(leaseMs, () => this.#open());
    server.on("connection", (socket: Socket) => this.#greet(socket));
  }

  /** Gives the port back; the nodes find themselves another hub. */
  close(): void {
    this.#stopWaiting();
    this.#clients.clear();
    this.#access.server.close();
    for (const socket of this.#sockets) hangUp(socket);
  }

  #greet(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    greet(socket, this.#access.membership).then(
      ({ wire, caller: { purpose, incarnation } }) => {
        if (purpose === "authority") this.serve(incarnation, wire);
        else wire.destroy();
      },
      () => {}, // A stranger: the handshake has told it why and closed the connection.
    );
  }

  /** Serves a node; also the one of this process. */
  serve(incarnation: string, wire: JsonWire): void {
    // Before the first frame: that one may be in the connection already, and must find it.
    wire.onClose(() => this.#ended(incarnation, wire));
    wire.receiveJson(({ known, changes, id, generation }) => {
      if (Array.isArray(known) && known.every(isEntry)) {
        this.#hello(incarnation, wire, { generation: Number(generation) || 0, known });
      } else if (Array.isArray(changes) && changes.every(isChange)) {
        this.#then(() => this.#carryOut(wire, id, changes));
      } else {
        return false;
      }
      return true;
    });
  }

  /** What a node knows of the cluster: generation 0 if it never belonged to it. */
  #hello(
    incarnation: string,
    wire: JsonWire,
    { generation, known }: { readonly generation: number; readonly known: readonly Entry[] },
  ): void {
    if (this.#awaited !== undefined) {
      this.#generation = Math.max(this.#generation, generation);
      this.#ledger.merge(known);
      this.#awaited.delete(incarnation);
    }
    this.#then(() => {
      // In this order: what is announced from here on is not in the snapshot.
      wire.writeJson({ snapshot: this.#snapshot() });
      this.#clients.set(incarnation, wire);
    });
    this.#checkOpen();
  }

  #carryOut(wire: JsonWire, id: unknown, changes: readonly Change[]): void {
    const { results, changed } = this.#ledger.casMany(changes);
    // Before the answer, on the same connection: who asked has seen the effect when it hears of it.
    this.#announce(changed);
    wire.writeJson({ id, results });
  }

  #ended(incarnation: string, wire: JsonWire): void {
    if (this.#clients.get(incarnation) !== wire) return;
    this.#clients.delete(incarnation);
    this.#then(() => this.#bury(incarnation));
  }

  #bury(incarnation: string): void {
    const entry = this.#ledger.get(sessionKey(incarnation));
    const session = entry?.value as SessionRecord | undefined;
    if (entry === undefined || session === undefined || !isAlive(session)) return;
    const { key, revision: expected } = entry;
    const operation = `${this.#access.self}:end:${incarnation}`;
    const value: SessionRecord = { ...session, state: "dead" };
    const { changed } = this.#ledger.cas({ key, expected, value, operation });
    if (changed !== undefined) this.#announce([changed]);
  }

  #announce(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    for (const wire of this.#clients.values()) wire.writeJson({ entries });
  }

  #snapshot(): Snapshot {
    const { revision } = this.#ledger;
    return { generation: this.#generation, revision, entries: this.#ledger.entries() };
  }

  /** Opens when nobody is awaited any more but processes that are gone. */
  #checkOpen(): void {
    if (this.#awaited === undefined) return;
    const others = this.#access.register.others();
    const isAwaited = [this.#access.self, ...others].some((each) => this.#awaited?.has(each));
    if (!isAwaited) return this.#open();
    this.#cancelCheck();
    this.#cancelCheck = this.#access.clock.after(RECHECK_MS, () => this.#checkOpen());
  }

  #open(): void {
    if (this.#awaited === undefined) return;
    this.#stopWaiting();
    this.#awaited = undefined;
    this.#generation ||= Math.floor(this.#access.clock.wallMs());
    this.#ledger.skip(REVISION_LEAP);
    const opened = this.#opened;
    this.#opened = [];
    for (const run of opened) run();
    const here = new Set([this.#access.self, ...this.#access.register.others()]);
    for (const { key, value } of this.#ledger.entries()) {
      const incarnation = key.slice(2);
      if (key.startsWith("n.") && isAlive(value as SessionRecord) && !here.has(incarnation)) {
        this.#bury(incarnation);
      }
    }
  }

  #stopWaiting(): void {
    this.#cancelWait();
    this.#cancelCheck();
  }

  #then(run: () => void): void {
    if (this.#awaited === undefined) run();
    else this.#opened.push(run);
  }
}

function isAlive({ state }: SessionRecord): boolean {
  return state === "up" || state === "leaving";
}
