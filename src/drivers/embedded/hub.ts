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
import type { Clock } from "../../base/clock.ts";
import { silenceMsMax } from "../../base/limits.ts";
import { type Change, type Entry, isChange, isEntry, Ledger } from "../../protocol/ledger.ts";
import { sessionOf, type SessionRecord } from "../../protocol/records.ts";
import { type Door, type Identity, openDoor } from "../tcp/handshake.ts";
import type { Register } from "./register.ts";
import type { JsonWire } from "../tcp/wire.ts";

/** Nodes of one machine meet on its loopback. */
export const HOST = "127.0.0.1";
const REVISION_LEAP = 2 ** 20;
const RECHECK_MS = 20;

/** What a node needs to be a hub, or a client of one. */
export interface HubAccess extends Identity {
  readonly port: number;
  readonly clock: Clock;
  readonly leaseMs: number;
  readonly register: Register;
}

/** See the file's header. */
export class Hub {
  readonly #access: HubAccess;
  readonly #ledger = new Ledger();
  #generation = 0;
  readonly #clients = new Map<string, JsonWire>();
  /** Who has said what it knows; nothing once the hub is open. */
  #heard: Set<string> | undefined = new Set();
  /** The hub opens by then, whoever is silent. */
  readonly #beganMs: number;
  #cancelCheck = (): void => {};
  #door: Door | undefined;

  constructor(access: HubAccess) {
    this.#access = access;
    this.#beganMs = access.clock.nowMs();
  }

  /** Takes the port; rejects when another process has it. */
  async open(): Promise<void> {
    const place = { host: HOST, port: this.#access.port };
    this.#door = await openDoor(place, this.#access, (...caller) => this.serve(...caller));
  }

  /** Gives the port back; the nodes find themselves another hub. */
  close(): void {
    this.#door?.close();
    this.#cancelCheck();
    this.#clients.clear();
  }

  /** Serves a node; also the one of this process. */
  serve(incarnation: string, wire: JsonWire): void {
    // Before the first frame: that one may be in the connection already, and must find it.
    wire.onClose(() => {
      if (this.#clients.get(incarnation) !== wire) return;
      this.#clients.delete(incarnation);
      if (this.#heard === undefined) this.#bury((each) => each === incarnation);
    });
    wire.receiveJson(({ known, changes, id, generation }) => {
      if (Array.isArray(known) && known.every(isEntry)) {
        this.#clients.set(incarnation, wire);
        this.#hear(incarnation, known, Number(generation) || 0);
      } else if (this.#heard === undefined && Array.isArray(changes) && changes.every(isChange)) {
        const results = this.#carryOut(changes);
        wire.writeJson({ id, results });
      } else {
        return false;
      }
      return true;
    });
  }

  /** What a node knows of the cluster: generation 0 if it never belonged to it. */
  #hear(incarnation: string, known: readonly Entry[], generation: number): void {
    if (this.#heard === undefined) return this.#welcome(incarnation);
    this.#generation = Math.max(this.#generation, generation);
    this.#ledger.merge(known);
    this.#heard.add(incarnation);
    this.#checkOpen(this.#heard);
  }

  /** Opens when nobody is awaited any more but processes that are gone, or have had their time. */
  #checkOpen(heard: ReadonlySet<string>): void {
    this.#cancelCheck();
    const { incarnation: self, register, clock, leaseMs } = this.#access;
    const others = register.others();
    const silent = [self, ...others.keys()].filter((each) => !heard.has(each));
    const longestMs = Math.max(leaseMs, ...silent.map((each) => others.get(each) ?? 0));
    if (silent.length > 0 && clock.nowMs() < this.#beganMs + silenceMsMax(longestMs)) {
      this.#cancelCheck = clock.after(RECHECK_MS, () => this.#checkOpen(heard));
      return;
    }
    this.#heard = undefined;
    this.#generation ||= Math.floor(clock.wallMs());
    this.#ledger.skip(REVISION_LEAP);
    for (const incarnation of this.#clients.keys()) this.#welcome(incarnation);
    const alive = new Set([...this.#clients.keys(), ...silent]);
    this.#bury((each) => !alive.has(each));
    // Whose process runs and does not speak for so long is not waited for again.
    for (const incarnation of silent) register.leave(incarnation);
  }

  /** What is announced from here on is not in the snapshot. */
  #welcome(incarnation: string): void {
    const { revision } = this.#ledger;
    const snapshot = { generation: this.#generation, revision, entries: this.#ledger.entries() };
    this.#clients.get(incarnation)?.writeJson({ snapshot });
  }

  /** Those that act and are dead do so no more. */
  #bury(isDead: (incarnation: string) => boolean): void {
    const { incarnation: self, clock } = this.#access;
    for (const entry of this.#ledger.entries()) {
      const { key, revision: expected } = entry;
      const [incarnation, session] = [sessionOf(entry), entry.value as SessionRecord];
      const acts = session.state === "up" || session.state === "leaving";
      if (incarnation === undefined || !acts || !isDead(incarnation)) continue;
      const operation = `${self}:end:${incarnation}`;
      const value: SessionRecord = { ...session, state: "dead", overMs: clock.wallMs() };
      this.#carryOut([{ key, expected, operation, value }]);
    }
  }

  #carryOut(changes: readonly Change[]): unknown[] {
    const { results, changed: entries } = this.#ledger.casMany(changes);
    // Before the answer, on the same connection: who asked has seen the effect when it hears of it.
    if (entries.length > 0) {
      for (const wire of this.#clients.values()) wire.writeJson({ entries });
    }
    return results;
  }
}
