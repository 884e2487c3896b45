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
import process from "node:process";
import type { Clock } from "../../base/clock.ts";
import type { AuthorityListener, Snapshot } from "../../ports/authority.ts";
import { type CasResult, type Change, type Entry, Ledger } from "../../protocol/ledger.ts";
import { sessionKey, type SessionRecord } from "../../protocol/records.ts";
import { greet, type Membership } from "./handshake.ts";
import { type Connection, readJson, receiveFrames, writeJson } from "./wire.ts";

const REVISION_LEAP = 2 ** 20;

/** What a hub starts from. */
export interface HubOptions {
  readonly server: Server;
  readonly membership: Membership;
  readonly self: string;
  readonly clock: Clock;
  readonly leaseMs: number;
  /** What this process knew under the hub before, or nothing. */
  readonly inherited: Snapshot | undefined;
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
  readonly #generation: number;
  readonly #clients = new Map<string, Socket>();
  readonly #sockets = new Set<Socket>();
  /** Nodes that lived under the last hub and have not spoken yet; nothing once the hub is open. */
  #awaited: Set<string> | undefined;
  #opened: (() => void)[] = [];
  #cancelWait = (): void => {};
  #cancelCheck = (): void => {};
  #listener: AuthorityListener | undefined;

  constructor(options: HubOptions) {
    this.#options = options;
    const { inherited, clock, server, self, leaseMs } = options;
    this.#generation = inherited?.generation ?? Math.floor(clock.wallMs());
    this.#ledger.merge(inherited?.entries ?? []);
    const others = this.#living().filter(({ incarnation }) => incarnation !== self);
    if (others.length > 0) {
      this.#awaited = new Set(others.map(({ incarnation }) => incarnation));
      this.#cancelWait = clock.after(leaseMs, () => this.#open());
      this.#checkOpen();
    }
    server.on("connection", (socket: Socket) => this.#greet(socket));
  }

  /** Opens the feed for the hub's own process. */
  async subscribe(listener: AuthorityListener): Promise<Snapshot> {
    await this.#whenOpen();
    this.#listener = listener;
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
    this.#listener = undefined;
    this.#stopWaiting();
    this.#options.server.close();
    for (const socket of this.#sockets) socket.destroy();
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
      if (Array.isArray(request["known"])) {
        this.#hello(incarnation, socket, request["known"] as Entry[]);
      } else {
        this.#answer(socket, request["id"], request["changes"] as Change[]);
      }
      return true;
    });
  }

  #hello(incarnation: string, socket: Socket, known: readonly Entry[]): void {
    this.#clients.set(incarnation, socket);
    if (this.#awaited !== undefined) this.#ledger.merge(known);
    this.#awaited?.delete(incarnation);
    this.#checkOpen();
    this.#then(() => writeJson(socket, { snapshot: this.#snapshot() }));
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
    const { changed } = this.#ledger.cas({
      key: entry.key,
      expected: entry.revision,
      value: { ...session, state: "dead" },
      operation: `${this.#options.self}:end:${incarnation}`,
    });
    if (changed !== undefined) this.#announce([changed]);
  }

  #announce(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    // Before the answer, on the same connection: who asked has seen the effect when it hears of it.
    for (const socket of this.#clients.values()) writeJson(socket, { entries });
    this.#listener?.changed(entries);
  }

  #living(): { readonly incarnation: string; readonly session: SessionRecord }[] {
    return this.#ledger
      .entries()
      .filter(({ key }) => key.startsWith("n."))
      .map(({ key, value }) => ({ incarnation: key.slice(2), session: value as SessionRecord }))
      .filter(({ session }) => isAlive(session));
  }

  #snapshot(): Snapshot {
    const { revision } = this.#ledger;
    return { generation: this.#generation, revision, entries: this.#ledger.entries() };
  }

  /** Opens when nobody is awaited any more but processes that are gone. */
  #checkOpen(): void {
    if (this.#awaited === undefined) return;
    for (const { incarnation, session } of this.#living()) {
      if (this.#awaited.has(incarnation) && !isRunning(session.processId)) {
        this.#awaited.delete(incarnation);
      }
    }
    if (this.#awaited.size === 0) this.#open();
    else this.#cancelCheck = this.#options.clock.after(RECHECK_MS, () => this.#checkOpen());
  }

  #open(): void {
    if (this.#awaited === undefined) return;
    this.#stopWaiting();
    this.#awaited = undefined;
    this.#ledger.skip(REVISION_LEAP);
    const opened = this.#opened;
    this.#opened = [];
    for (const run of opened) run();
    for (const { incarnation, session } of this.#living()) {
      const isHere = incarnation === this.#options.self || this.#clients.has(incarnation);
      if (!isHere && !isRunning(session.processId)) this.#bury(incarnation);
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

const RECHECK_MS = 20;

function isAlive({ state }: SessionRecord): boolean {
  return state === "up" || state === "leaving";
}

function isRunning(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === "EPERM";
  }
}
