/**
 * This node's place in the cluster: joins, keeps its session lease, leaves.
 *
 * Joining is a row of compare-and-sets, each of which either finds what it needs or says why the
 * node cannot join: shared parameters, the node id, the group of entity types, the session, and for
 * the first node of a group the record that makes it the owner of every shard.
 */
import { CatgaError } from "../base/errors.ts";
import { SESSIONS_KEPT, silenceMsMax, UNANSWERED_MS, VIRTUAL_NODES } from "../base/limits.ts";
import { runtimeOf } from "../base/runtime.ts";
import { groupOf } from "../ownership/group.ts";
import { grantedLease, type Lease, type LeaseEvent, stepLease } from "../ownership/lease.ts";
import type { CasResult, Entry } from "../protocol/ledger.ts";
import {
  type GroupsRecord,
  type MetaRecord,
  sessionKey,
  type SessionRecord,
  type ShardRecord,
} from "../protocol/records.ts";
import { Election } from "./election.ts";
import { createLoadMeter } from "./load-meter.ts";
import type { NodeContext } from "./node-context.ts";
import type { RecordWriter } from "./record-writer.ts";

/** What nobody else may claim, or claim otherwise. */
type Claim = "node" | "group" | "store";

/** See the file's header. */
export class Membership {
  readonly #context: NodeContext;
  readonly #writer: RecordWriter;
  readonly #fenced: () => void;
  readonly election: Election;
  readonly #load: ReturnType<typeof createLoadMeter>;
  #lease: Lease = { kind: "fenced" };
  #session: SessionRecord | undefined;
  /** Where the session stands. */
  #key = "";
  #revision = 0;
  #cancelTick: () => void = () => {};
  /** When this node last heard of each session, by its own clock (L5). */
  readonly #heardMs = new Map<string, number>();
  /** Nobody is declared dead for silence before this time (L6). */
  #graceMs = 0;
  /** How far the wall clock was ahead of the other one when the lease was asked for. */
  #wallAheadMs = 0;
  /** When the renewal was sent that is not answered yet. */
  #askedMs = Number.POSITIVE_INFINITY;
  /** The feed has told of this node's session, and so of all that was written before it. */
  listed: () => void = () => {};
  readonly #isListed = new Promise<void>((resolve) => (this.listed = resolve));
  #lastWrite: Promise<void> = Promise.resolve();

  /** `fenced` hears that the session is over: others may own everything by then. */
  constructor(context: NodeContext, writer: RecordWriter, fenced: () => void) {
    this.#context = context;
    this.#writer = writer;
    this.#fenced = fenced;
    this.election = new Election(context, writer);
    this.#load = createLoadMeter(context);
  }

  /**
   * Joins as a node that is reached at `address` and keeps its entities in `store`, if it keeps
   * any; resolves to their group.
   *
   * @throws {CatgaError} SETTINGS_DIFFER, NODE_ID_TAKEN, ENTITY_SETS_DIFFER
   */
  async join(address: string, store?: string): Promise<string | undefined> {
    const { shardCount, nodeId, entities, former } = this.#context.options;
    former.add(this.#context.self);
    await this.#agreeOnSettings({ shardCount, virtualNodes: VIRTUAL_NODES });
    // Before anybody counts on it: it may come again and again.
    await this.#agreeWithOthers({ node: nodeId, group: null });
    const names = entities.map(({ name }) => name).sort();
    const group = names.length === 0 ? undefined : await this.#joinGroup(names);
    const own = { node: nodeId, group: group ?? null, ...(store !== undefined && { store }) };
    await this.#agreeWithOthers(own);
    await this.#register({ ...own, address });
    try {
      await this.#isListed;
      await this.#agreeWithOthers(own, this.#revision);
    } catch (error) {
      await this.leave("left");
      throw error;
    }
    if (group !== undefined) {
      const all = { owner: this.#context.self, epoch: 1, cleanSince: 1, handoff: null };
      await this.#ensure<ShardRecord>(`g.${group}`, (known) => known ?? all);
    }
    this.#tick();
    return group;
  }

  /** The record of a session came in. */
  heard(incarnation: string): void {
    if (!this.#context.view.isAlive(incarnation)) this.#heardMs.delete(incarnation);
    else this.#heardMs.set(incarnation, this.#context.clock.nowMs());
  }

  /** This node was cut off: the silence of the others was its own (L6). */
  resynced(): void {
    this.#graceMs = this.#context.clock.nowMs();
  }

  /** Tells everybody that this node hands over what it owns. */
  leaving(): Promise<void> {
    return this.#change("leaving");
  }

  /** Ends the session: others may take what is left at once. */
  async leave(state: "left" | "dead"): Promise<void> {
    await this.#change(state);
    this.stop();
  }

  /** Stops renewing without a word, as a crash would. */
  stop(): void {
    this.#cancelTick();
    this.#hold({ kind: "fenced" });
  }

  async #agreeOnSettings(ours: MetaRecord): Promise<void> {
    const theirs = await this.#ensure<MetaRecord>("meta", (known) => known ?? ours);
    for (const setting of ["shardCount", "virtualNodes"] as const) {
      if (theirs[setting] === ours[setting]) continue;
      const details = { setting, ours: ours[setting], theirs: theirs[setting] };
      throw new CatgaError("SETTINGS_DIFFER", details);
    }
  }

  /** Nobody who lives has this node's id, or keeps its entities elsewhere. */
  async #agreeWithOthers(ours: Pick<SessionRecord, Claim>, revision?: number): Promise<void> {
    const { view, options } = this.#context;
    for (const [incarnation, { node, store }] of view.rivals(ours, revision)) {
      // An authority that lost records may know a session of this very process as one that lives.
      if (options.former.has(incarnation)) continue;
      await this.#outlast(incarnation);
      if (!view.isAlive(incarnation)) continue;
      if (node === ours.node) throw new CatgaError("NODE_ID_TAKEN", { node });
      const details = { setting: "store", ours: `${ours.store}`, theirs: `${store}` };
      throw new CatgaError("SETTINGS_DIFFER", details);
    }
  }

  /**
   * Waits until a session lets hear of itself, or is over. Where nobody else is alive, nobody else
   * declares it dead.
   */
  async #outlast(incarnation: string): Promise<void> {
    const { view, clock, options } = this.#context;
    const heard = view.sessions.get(incarnation)?.revision;
    while (view.isAlive(incarnation) && view.sessions.get(incarnation)?.revision === heard) {
      this.#judge(incarnation, clock.nowMs());
      await new Promise<void>((resolve) => void clock.after(options.times.everyMs / 4, resolve));
    }
  }

  async #joinGroup(ours: readonly string[]): Promise<string> {
    const { view } = this.#context;
    let group = "";
    await this.#ensure<GroupsRecord>("groups", (known = { groups: {} }) => {
      const joined = groupOf(known, ours, (each) => view.isHosted(each));
      group = joined.group;
      return joined.record;
    });
    return group;
  }

  async #register(own: Pick<SessionRecord, Claim | "address">): Promise<void> {
    const { clock, self, options, view } = this.#context;
    const { weight, endpoint = null, times, sessionsKept = SESSIONS_KEPT } = options;
    const { name, version } = runtimeOf();
    const sentMs = clock.nowMs();
    const aheadMs = clock.wallMs() - sentMs;
    const none = { key: sessionKey(self), revision: 0 };
    const { key, revision } = view.forgettable(clock.wallMs(), sessionsKept) ?? none;
    const handlers = this.#context.options.handled;
    const fixed = { ...own, weight, leaseMs: times.timeoutMs, endpoint, handlers };
    const runtime = `${name} ${version}`;
    const load = this.#load(sentMs);
    const state = { incarnation: self, state: "up", heartbeat: 0 } as const;
    const value: SessionRecord = { ...state, ...fixed, runtime, load };
    const result = await this.#writer.writeAsync({ key, expected: revision, value });
    // Another node that joins was given this key.
    if (!result.ok && !view.sessions.has(self)) return this.#register(own);
    if (!result.ok) {
      const reason = "the session was over before the authority had confirmed it";
      throw new CatgaError("UNAVAILABLE", { reason });
    }
    this.#session = value;
    this.#key = key;
    this.#revision = result.revision;
    this.#wallAheadMs = aheadMs;
    this.#hold(grantedLease(sentMs, times));
  }

  /** Writes what `next` makes of the record of `key`, until it is as `next` wants it. */
  async #ensure<R extends Entry["value"]>(
    key: string,
    next: (known: R | undefined) => R,
  ): Promise<R> {
    for (;;) {
      const known = this.#context.view.entry(key);
      const value = next(known?.value as R | undefined);
      if (value === known?.value) return value;
      const expected = known?.revision ?? 0;
      const result = await this.#writer.writeAsync({ key, expected, value });
      if (result.ok) return value;
    }
  }

  #tick(): void {
    const { clock, options, leaseHolds, view, self } = this.#context;
    const nowMs = clock.nowMs();
    this.#context.progress.tick(options.times.everyMs / 4);
    // Who could not renew cannot know whether others could: all are given their time again.
    if (!leaseHolds) this.#graceMs = nowMs;
    // Their leases may be shorter than this node's, which outlives an authority that hangs.
    if (nowMs - this.#askedMs > UNANSWERED_MS) this.#graceMs = nowMs;
    this.#step({ kind: "tick", nowMs });
    // Renewals that came while this process was kept from its loop are read first: they count.
    clock.yield(() => {
      if (!this.#context.leaseHolds) return;
      for (const each of view.watchedBy(self)) this.#judge(each, clock.nowMs());
      this.election.elect();
    });
    // More often than it renews: whoever is silent shall be found soon.
    this.#cancelTick = clock.after(options.times.everyMs / 4, () => this.#tick());
  }

  /** Declares dead who was silent for too long; another renewal makes the write fail. */
  #judge(incarnation: string, nowMs: number): void {
    const { key, revision, record } = this.#context.view.sessions.get(incarnation)!;
    const sinceMs = Math.max(this.#heardMs.get(incarnation) ?? nowMs, this.#graceMs);
    if (nowMs - sinceMs < silenceMsMax(record.leaseMs)) return;
    // Not again at once, should the answer be slow.
    this.#heardMs.set(incarnation, nowMs);
    const overMs = this.#context.clock.wallMs();
    const value: SessionRecord = { ...record, state: "dead", overMs };
    this.#writer.write({ key, expected: revision, value });
  }

  #step(event: LeaseEvent): void {
    const [lease, effect] = stepLease(this.#lease, event, this.#context.options.times);
    this.#hold(lease);
    if (effect?.kind === "fence") this.#fenced();
    if (effect?.kind === "renew") this.#renew(effect.operation);
  }

  /** Where every turn looks before it starts. */
  #hold(lease: Lease): void {
    this.#lease = lease;
    const { slices, clock, options } = this.#context;
    const untilMs = lease.kind === "held" ? lease.untilMs : Number.NEGATIVE_INFINITY;
    // A machine that slept stops the monotonic clock: the other one ends the lease as well (A1).
    slices.leaseUntilWallMs = untilMs + this.#wallAheadMs;
    const hasSlept = clock.wallMs() >= slices.leaseUntilWallMs;
    slices.leaseUntilMs = hasSlept ? Number.NEGATIVE_INFINITY : untilMs;
    slices.resume();
    options.singletons.look(this.#context);
  }

  #renew(operation: number): void {
    const session = this.#session!;
    const { clock } = this.#context;
    const load = this.#load(clock.nowMs());
    this.#session = { ...session, heartbeat: session.heartbeat + 1, load };
    this.#askedMs = Math.min(this.#askedMs, clock.nowMs());
    const aheadMs = clock.wallMs() - operation;
    this.#write(this.#session, (result) => {
      this.#askedMs = Number.POSITIVE_INFINITY;
      if (result.ok) this.#wallAheadMs = aheadMs;
      this.#step(result.ok ? { kind: "renewed", operation } : { kind: "refused" });
    });
  }

  async #change(state: SessionRecord["state"]): Promise<void> {
    if (this.#session === undefined) return;
    const over = state === "leaving" ? {} : { overMs: this.#context.clock.wallMs() };
    const session = (this.#session = { ...this.#session, state, ...over });
    await new Promise<void>((resolve) => this.#write(session, () => resolve()));
  }

  /** One write at a time: each has to know the revision of the one before (L2). */
  #write(value: SessionRecord, done: (result: CasResult) => void): void {
    this.#lastWrite = this.#lastWrite.then(async () => {
      const [key, expected] = [this.#key, this.#revision];
      const result = await this.#writer.writeAsync({ key, expected, value });
      if (result.ok) this.#revision = result.revision;
      done(result);
    });
  }
}
