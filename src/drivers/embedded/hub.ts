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
import type { AuthorityListener, Snapshot } from "../../ports/authority.ts";
import {
  type CasResult,
  type Change,
  type Entry,
  isChange,
  isEntry,
  Ledger,
} from "../../protocol/ledger.ts";
import { sessionKey, type SessionRecord } from "../../protocol/records.ts";
import { greet, type Membership } from "./handshake.ts";
import type { Register } from "./register.ts";
import { type Connection, hangUp, readJson, receiveFrames, writeJson } from "./wire.ts";

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

/** What a hub starts from. */
export interface HubOptions extends HubAccess {
  readonly server: Server;
  /** What this process knew under the hub before. */
  readonly inherited: Inheritance;
}

/** What a node knows of the cluster: generation 0 if it never belonged to it. */
export interface Inheritance {
  readonly generation: number;
  readonly known: readonly Entry[];
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
  readonly #options: HubOptions;
  readonly #ledger = new Ledger();
  #generation = 0;
  readonly #clients = new Map<string, Socket>();
  readonly #sockets = new Set<Socket>();
  /**
   * Nodes that may live on from the last hub and have not spoken; nothing once this one is open.
   */
  #awaited: Set<string> | undefined;
  #opened: (() => void)[] = [];
  #cancelWait = (): void => {};
  #cancelCheck = (): void => {};
  #changed: AuthorityListener["changed"] = () => {};

  constructor(options: HubOptions) {
    this.#options = options;
    const { inherited, clock, server, leaseMs, register } = options;
    this.#awaited = new Set(register.others());
    this.#cancelWait = clock.after(leaseMs, () => this.#open());
    this.#inherit(inherited);
    this.#checkOpen();
    server.on("connection", (socket: Socket) => this.#greet(socket));
  }

  /** Opens the feed for the hub's own process. */
  async subscribe(changed: AuthorityListener["changed"]): Promise<Snapshot> {
    await this.#whenOpen();
    this.#changed = changed;
    return this.#snapshot();
  }

  /** Carries changes out, in their order. */
  async casMany(changes: readonly Change[]): Promise<CasResult[]> {
    await this.#whenOpen();
    const { results, changed } = this.#ledger.casMany(changes);
    this.#announce(changed);
    return results;
  }

  /** Gives the port back; the nodes find themselves another hub. */
  close(): void {
    this.#changed = () => {};
    this.#stopWaiting();
    this.#options.server.close();
    for (const socket of this.#sockets) hangUp(socket);
  }

  #greet(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    greet(socket, this.#options.membership).then(
      (connection) => {
        const { purpose, incarnation } = connection.caller;
        if (purpose === "authority") this.#serve(incarnation, connection);
        else socket.destroy();
      },
      () => {}, // A stranger: the handshake has told it why and closed the connection.
    );
  }

  #serve(incarnation: string, connection: Connection): void {
    const { socket } = connection;
    // Before the first frame: that one may be in the connection already, and must find it.
    socket.once("close", () => this.#ended(incarnation, socket));
    receiveFrames(connection, (frame) => {
      const request = readJson(frame);
      if (request === undefined) return false;
      const { known, changes, id } = request;
      if (Array.isArray(known)) {
        if (!known.every(isEntry)) return false;
        this.#hello(incarnation, socket, { generation: Number(request["generation"]) || 0, known });
      } else {
        if (!Array.isArray(changes) || !changes.every(isChange)) return false;
        this.#answer(socket, id, changes);
      }
      return true;
    });
  }

  #hello(incarnation: string, socket: Socket, inheritance: Inheritance): void {
    if (this.#awaited !== undefined) this.#inherit(inheritance);
    this.#awaited?.delete(incarnation);
    this.#then(() => {
      // In this order: what is announced from here on is not in the snapshot.
      writeJson(socket, { snapshot: this.#snapshot() });
      this.#clients.set(incarnation, socket);
    });
    this.#checkOpen();
  }

  #inherit({ generation, known }: Inheritance): void {
    this.#generation = Math.max(this.#generation, generation);
    this.#ledger.merge(known);
  }

  #answer(socket: Socket, id: unknown, changes: readonly Change[]): void {
    this.casMany(changes).then(
      (results) => writeJson(socket, { id, results }),
      () => socket.destroy(),
    );
  }

  #ended(incarnation: string, socket: Socket): void {
    if (this.#clients.get(incarnation) !== socket) return;
    this.#clients.delete(incarnation);
    this.#then(() => this.#bury(incarnation));
  }

  #bury(incarnation: string): void {
    const entry = this.#ledger.get(sessionKey(incarnation));
    const session = entry?.value as SessionRecord | undefined;
    if (entry === undefined || session === undefined || !isAlive(session)) return;
    const { key, revision: expected } = entry;
    const operation = `${this.#options.self}:end:${incarnation}`;
    const value: SessionRecord = { ...session, state: "dead" };
    const { changed } = this.#ledger.cas({ key, expected, value, operation });
    if (changed !== undefined) this.#announce([changed]);
  }

  #announce(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    // Before the answer, on the same connection: who asked has seen the effect when it hears of it.
    for (const socket of this.#clients.values()) writeJson(socket, { entries });
    this.#changed(entries);
  }

  #snapshot(): Snapshot {
    const { revision } = this.#ledger;
    return { generation: this.#generation, revision, entries: this.#ledger.entries() };
  }

  /** Opens when nobody is awaited any more but processes that are gone. */
  #checkOpen(): void {
    if (this.#awaited === undefined) return;
    const others = this.#options.register.others();
    if (!others.some((other) => this.#awaited!.has(other))) return this.#open();
    this.#cancelCheck();
    this.#cancelCheck = this.#options.clock.after(RECHECK_MS, () => this.#checkOpen());
  }

  #open(): void {
    if (this.#awaited === undefined) return;
    this.#stopWaiting();
    this.#awaited = undefined;
    this.#generation ||= Math.floor(this.#options.clock.wallMs());
    this.#ledger.skip(REVISION_LEAP);
    const opened = this.#opened;
    this.#opened = [];
    for (const run of opened) run();
    const here = new Set([this.#options.self, ...this.#options.register.others()]);
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

  #whenOpen(): Promise<void> {
    return new Promise((resolve) => this.#then(resolve));
  }
}

function isAlive({ state }: SessionRecord): boolean {
  return state === "up" || state === "leaving";
}
