/**
 * The authority of a node of a fixed list: its own, for nobody has anything to decide. Which node
 * owns a shard follows from the list alone, and an owner that is away is waited for. What is left
 * to learn is which start of each node there is, and whether it can be heard.
 *
 * The epoch of a shard is when its owner started, by that machine's wall clock, and later than
 * every start of it that any other node has heard of. Of two processes that take themselves for the
 * same node, the one that comes second is not let in; where nobody could know, one of them ends
 * when a third node has heard of both.
 */
import { CatgaError, isCatgaError } from "../../base/errors.ts";
import { JOIN_TIMEOUT_MS, silenceMsMax } from "../../base/limits.ts";
import { isWhole } from "../../base/shape.ts";
import type { Authority, AuthorityListener, Snapshot } from "../../ports/authority.ts";
import type { Certificates } from "../../ports/certificates.ts";
import type { DriverContext } from "../../ports/driver.ts";
import { type CasResult, type Change, type Entry, Ledger } from "../../protocol/ledger.ts";
import {
  type AuthorityRecord,
  isRecord,
  sessionKey,
  type SessionRecord,
} from "../../protocol/records.ts";
import type { Json } from "../tcp/wire.ts";
import { type ConnectionOwner, Connections } from "./connections.ts";
import { type Greeting, isEpochs } from "./greeting.ts";
import type { Member } from "./list.ts";
import { Placement, type Start } from "./placement.ts";

/** There is one life of the list: what it decides is nowhere kept. */
const GENERATION = 1;
/** Before any start. */
const EPOCH_OF_NOBODY = 1;
const CHECKS_PER_LEASE = 4;

/** Another node, as it was heard last. */
interface Neighbour {
  readonly incarnation: string;
  readonly leaseMs: number;
  heardMs: number;
}

/** See the file's header. */
export class FixedAuthority implements Authority, ConnectionOwner {
  readonly tls: Certificates | undefined;
  readonly link: Connections;
  readonly #context: DriverContext;
  readonly #list: readonly Member[];
  readonly #ledger = new Ledger();
  /** By node id: of the list those that were never heard, too. */
  readonly #neighbours = new Map<string, Neighbour>();
  /** The epoch of the latest start of each node of the list. */
  readonly #epochs = new Map<string, number>();
  /** What was said of nodes that cannot be joined: it is said once. */
  readonly #refusals = new Map<string, string>();
  readonly #placement: Placement;
  #group: string | undefined;
  #listener: AuthorityListener | undefined;
  #refusal: CatgaError | undefined;
  #checkedMs = 0;
  #cancelCheck = (): void => {};

  constructor(context: DriverContext, list: readonly Member[], tls?: Certificates) {
    this.tls = tls;
    this.#context = context;
    this.#list = list;
    this.#placement = new Placement(list, context.shardCount);
    this.link = new Connections(context, list, this);
  }

  async open(listener: AuthorityListener): Promise<Snapshot> {
    const { clock, nodeId, incarnation, entities, leaseMs } = this.#context;
    const heardMs = clock.nowMs();
    this.#checkedMs = heardMs;
    for (const { node } of this.#list) {
      if (node === nodeId || this.#neighbours.has(node)) continue;
      this.#neighbours.set(node, { incarnation: `${node}.0`, leaseMs, heardMs });
    }
    await this.#callAll();
    this.#listener = listener;
    if (this.link.isListed(nodeId)) {
      const epoch = Math.max(Math.floor(clock.wallMs()), (this.#epochs.get(nodeId) ?? 0) + 1);
      this.#epochs.set(nodeId, epoch);
      this.#learnEntities(entities);
      this.#place({ node: nodeId, incarnation, epoch });
    }
    this.#check();
    const { revision } = this.#ledger;
    return { generation: GENERATION, revision, entries: this.#ledger.entries() };
  }

  /** A node writes of itself alone: everything else follows from the list. */
  async casMany(changes: readonly Change[]): Promise<CasResult[]> {
    const own = sessionKey(this.#context.incarnation);
    return changes.map((change): CasResult => {
      if (change.key !== own && change.key !== "meta") {
        return { ok: false, current: this.#ledger.get(change.key) };
      }
      const { result, changed } = this.#ledger.cas(change);
      if (changed !== undefined) this.#listener?.changed([changed]);
      if (changed?.key === own) this.#tellSession();
      return result;
    });
  }

  async close(): Promise<void> {
    this.#listener = undefined;
    this.#cancelCheck();
    await this.link.close();
  }

  greeting(): Greeting {
    const { nodeId: node, shardCount, entities } = this.#context;
    const nodes = this.#list.map(({ address }) => address);
    const epochs = Object.fromEntries(this.#epochs);
    return { node, nodes, shardCount, entities, epochs, connected: this.link.nodes };
  }

  admit(incarnation: string, { node, entities, connected }: Greeting): void {
    const { nodeId, incarnation: self } = this.#context;
    const other = this.link.nodes[node] ?? incarnation;
    if (node === nodeId || other !== incarnation) throw new CatgaError("NODE_ID_TAKEN", { node });
    if ((connected[nodeId] ?? self) !== self) {
      throw new CatgaError("NODE_ID_TAKEN", { node: nodeId });
    }
    // Before its news: whose entities nobody knows cannot be placed.
    if (this.link.isListed(node)) this.#learnEntities(entities);
  }

  met(incarnation: string, { epochs }: Greeting): void {
    this.#hearOf(epochs);
    this.#tellSession(incarnation);
  }

  told(incarnation: string, { session, epoch, epochs }: Json): boolean {
    if (isEpochs(epochs)) this.#hearOf(epochs);
    else if (!isWhole(epoch) || !isRecord(sessionKey(incarnation), session)) return false;
    else this.#hear(incarnation, session as SessionRecord, epoch);
    return true;
  }

  refused(node: string, error: CatgaError): void {
    const { log } = this.#context;
    const isNew = this.#refusals.get(node) !== error.message;
    if (isNew)
      log.error({ err: error, node }, "a node of the list and this one do not go together");
    this.#refusals.set(node, error.message);
    this.#refusal ??= error;
    const isTaken = isCatgaError(error, "NODE_ID_TAKEN");
    if (isTaken && error.details.node === this.#context.nodeId) this.#listener?.lost(error);
  }

  /** Calls all others once; who is not of the list tries until it has found somebody. */
  async #callAll(): Promise<void> {
    const { clock, nodeId, leaseMs } = this.#context;
    const untilMs = clock.nowMs() + JOIN_TIMEOUT_MS;
    for (;;) {
      this.link.callAll();
      const late = new Promise<void>((resolve) => void clock.after(leaseMs, resolve));
      await Promise.race([this.link.answered(), late]);
      if (this.#refusal !== undefined) throw this.#refusal;
      if (this.link.isListed(nodeId) || Object.keys(this.link.nodes).length > 0) return;
      if (clock.nowMs() >= untilMs) {
        throw new CatgaError("UNAVAILABLE", { reason: "no node of the list answers" });
      }
      await late;
    }
  }

  /** Looks who was silent for too long, and calls who is not connected. */
  #check(): void {
    const { clock, leaseMs } = this.#context;
    const nowMs = clock.nowMs();
    // Who was kept from its event loop has heard nobody: all are given their time again.
    const wasPaused = nowMs - this.#checkedMs > leaseMs;
    this.#checkedMs = nowMs;
    clock.yield(() => {
      if (this.#listener === undefined) return;
      const heard = new Set(this.link.heard());
      for (const [node, neighbour] of this.#neighbours) {
        if (wasPaused || heard.has(neighbour.incarnation)) neighbour.heardMs = nowMs;
        const silentMs = nowMs - neighbour.heardMs;
        if (silentMs > silenceMsMax(neighbour.leaseMs)) this.#isAway(node, neighbour);
      }
      this.link.callAll();
    });
    this.#cancelCheck = clock.after(leaseMs / CHECKS_PER_LEASE, () => this.#check());
  }

  /** Nobody takes over: what its entities are sent waits no longer, until it is back. */
  #isAway(node: string, { incarnation }: Neighbour): void {
    this.link.forget(incarnation);
    const key = sessionKey(incarnation);
    const session = this.#ledger.get(key)?.value as SessionRecord | undefined;
    if (!this.link.isListed(node)) this.#neighbours.delete(node);
    if (session?.state !== "away") this.#put(key, { ...(session ?? unheard(node)), state: "away" });
    if (session === undefined) this.#place({ node, incarnation, epoch: EPOCH_OF_NOBODY });
  }

  /** A node tells of itself. */
  #hear(incarnation: string, session: SessionRecord, epoch: number): void {
    const { node, leaseMs } = session;
    const known = this.#neighbours.get(node);
    const isNew = known?.incarnation !== incarnation;
    if (epoch < (this.#epochs.get(node) ?? 0)) {
      // It was started again elsewhere, and learns that its time is over.
      return this.link.tell({ epochs: Object.fromEntries(this.#epochs) }, incarnation);
    }
    this.#neighbours.set(node, { incarnation, leaseMs, heardMs: this.#context.clock.nowMs() });
    if (known !== undefined && isNew) this.#bury(known.incarnation);
    // Nobody declares it dead for its silence.
    this.#put(sessionKey(incarnation), { ...session, leaseMs: Number.MAX_SAFE_INTEGER });
    if (!isNew || !this.link.isListed(node)) return;
    this.#hearOf({ [node]: epoch });
    this.#place({ node, incarnation, epoch });
  }

  #bury(incarnation: string): void {
    const key = sessionKey(incarnation);
    const session = this.#ledger.get(key)?.value;
    if (session !== undefined) this.#put(key, { ...session, state: "dead" });
  }

  /** The latest starts of others; what is new is passed on. */
  #hearOf(epochs: Greeting["epochs"]): void {
    const { nodeId } = this.#context;
    const news: Record<string, number> = {};
    for (const [node, epoch] of Object.entries(epochs)) {
      if (epoch <= (this.#epochs.get(node) ?? 0) || !this.link.isListed(node)) continue;
      this.#epochs.set(node, epoch);
      news[node] = epoch;
    }
    if (Object.keys(news).length > 0) this.link.tell({ epochs: news });
    if (news[nodeId] === undefined) return;
    this.#listener?.lost(new CatgaError("NODE_ID_TAKEN", { node: nodeId }));
  }

  #tellSession(to?: string): void {
    const { incarnation, nodeId } = this.#context;
    const session = this.#ledger.get(sessionKey(incarnation))?.value;
    if (session !== undefined)
      this.link.tell({ session, epoch: this.#epochs.get(nodeId) ?? 0 }, to);
  }

  /** Which entity types the list hosts: the same on each of its nodes. */
  #learnEntities(entities: readonly string[]): void {
    const [group] = entities;
    if (group === undefined || this.#group !== undefined) return;
    this.#group = group;
    this.#put("groups", { groups: { [group]: entities } });
    const nobody = { owner: null, epoch: EPOCH_OF_NOBODY, cleanSince: EPOCH_OF_NOBODY };
    this.#put(`g.${group}`, { ...nobody, handoff: null });
  }

  /** Makes a start of a node the owner of the shards that are the node's. */
  #place(start: Start): void {
    const { node, incarnation, epoch } = start;
    const isFirst = node === this.#list[0]!.node;
    if (isFirst && epoch !== EPOCH_OF_NOBODY) this.#put("leader", { incarnation });
    if (this.#group !== undefined) this.#learn(this.#placement.records(this.#group, start));
  }

  #put(key: string, value: AuthorityRecord): void {
    const revision = this.#ledger.revision + 1;
    this.#learn([{ key, value, revision, operation: `${this.#context.incarnation}:${revision}` }]);
  }

  #learn(entries: readonly Entry[]): void {
    this.#ledger.merge(entries);
    this.#listener?.changed(entries);
  }
}

/** What is said of a node that nobody has heard yet. */
function unheard(node: string): SessionRecord {
  const load = { inFlight: 0, cpu: 0, memoryBytes: 0, messagesPerSecond: 0, eventLoopLagMs: 0 };
  const fixed = { address: "", group: null, weight: 1, leaseMs: Number.MAX_SAFE_INTEGER, load };
  return { state: "away", heartbeat: 0, node, endpoint: null, runtime: "", ...fixed };
}
