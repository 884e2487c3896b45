/**
 * This node's place in the cluster: joins, keeps its session lease, leaves.
 *
 * Joining is a row of compare-and-sets, each of which either finds what it needs or says why the
 * node cannot join: shared parameters, the node id, the group of entity types, the session, and for
 * the first node of a group the record that makes it the owner of every shard.
 */
import type { Clock } from "../base/clock.ts";
import { CatgaError } from "../base/errors.ts";
import { type HeartbeatTimes, VIRTUAL_NODES } from "../base/limits.ts";
import { grantedLease, type Lease, type LeaseEvent, stepLease } from "../ownership/lease.ts";
import type { View } from "../ownership/view.ts";
import type { CasResult, Entry } from "../protocol/ledger.ts";
import {
  type GroupsRecord,
  genesisKey,
  type IdRecord,
  idKey,
  type LoadFigures,
  type MetaRecord,
  sessionKey,
  type SessionRecord,
} from "../protocol/records.ts";
import type { RecordWriter } from "./record-writer.ts";

/** What membership needs of the node around it. */
export interface MembershipServices {
  readonly self: string;
  readonly clock: Clock;
  readonly view: View;
  readonly writer: RecordWriter;
  readonly times: HeartbeatTimes;
  readonly load: () => LoadFigures;
  /** The lease was renewed and holds until then. */
  readonly renewed: (untilMs: number) => void;
  /** The session is over: others may own everything by now. */
  readonly fenced: () => void;
}

/** What a node says of itself when it joins. */
export interface Introduction {
  readonly node: string;
  readonly address: string;
  readonly entities: readonly string[];
  readonly shardCount: number;
  readonly weight: number;
  readonly endpoint: string | null;
  readonly runtime: string;
  readonly processId: number;
}

type Ended = "left" | "dead";

/** See the file's header. */
export class Membership {
  readonly #services: MembershipServices;
  #lease: Lease = { kind: "fenced" };
  #session: SessionRecord | undefined;
  #revision = 0;
  #cancelTick: () => void = () => {};
  #lastWrite: Promise<void> = Promise.resolve();

  constructor(services: MembershipServices) {
    this.#services = services;
  }

  /** True while this node may act as an owner (L3). */
  get leaseHolds(): boolean {
    return this.#lease.kind === "held" && this.#services.clock.nowMs() < this.#lease.untilMs;
  }

  /**
   * Joins; resolves to the group of the node's entities.
   *
   * @throws {CatgaError} SETTINGS_DIFFER, NODE_ID_TAKEN, ENTITY_SETS_DIFFER
   */
  async join(introduction: Introduction): Promise<string | undefined> {
    const { node, entities, shardCount } = introduction;
    await this.#agreeOnSettings({ shardCount, virtualNodes: VIRTUAL_NODES });
    await this.#takeId(node);
    const group = entities.length === 0 ? undefined : await this.#joinGroup(entities);
    await this.#register(introduction, group ?? null);
    if (this.#isTwin(node)) {
      await this.leave("left");
      throw new CatgaError("NODE_ID_TAKEN", { node });
    }
    if (group !== undefined) await this.#bootstrap(group);
    this.#tick();
    return group;
  }

  /** Tells everybody that this node hands over what it owns. */
  async leaving(): Promise<void> {
    await this.#change("leaving");
  }

  /** Ends the session: others may take what is left at once. */
  async leave(state: Ended): Promise<void> {
    this.#cancelTick();
    await this.#change(state);
    this.#lease = { kind: "fenced" };
  }

  /** Stops renewing without a word, as a crash would. */
  stop(): void {
    this.#cancelTick();
    this.#lease = { kind: "fenced" };
  }

  async #agreeOnSettings(ours: MetaRecord): Promise<void> {
    const theirs = await this.#createOrRead<MetaRecord>("meta", ours);
    for (const setting of ["shardCount", "virtualNodes"] as const) {
      if (theirs[setting] === ours[setting]) continue;
      const details = { setting, ours: ours[setting], theirs: theirs[setting] };
      throw new CatgaError("SETTINGS_DIFFER", details);
    }
  }

  async #takeId(node: string): Promise<void> {
    const { writer, view, self } = this.#services;
    const key = idKey(node);
    let expected = view.entry(key)?.revision ?? 0;
    let holder = (view.entry(key)?.value as IdRecord | undefined)?.incarnation;
    for (;;) {
      if (holder !== undefined && view.isAlive(holder)) break;
      const result = await writer.writeAsync({ key, expected, value: { incarnation: self } });
      if (result.ok) return;
      expected = result.current?.revision ?? 0;
      holder = (result.current?.value as IdRecord | undefined)?.incarnation;
    }
    throw new CatgaError("NODE_ID_TAKEN", { node });
  }

  /** Two nodes may take an id at the same moment; the one that registered first keeps it. */
  #isTwin(node: string): boolean {
    const { view, self } = this.#services;
    for (const [incarnation, { record, revision }] of view.sessions) {
      if (incarnation === self || record.node !== node || !view.isAlive(incarnation)) continue;
      if (revision < this.#revision) return true;
    }
    return false;
  }

  async #joinGroup(entities: readonly string[]): Promise<string> {
    const ours = [...entities].sort();
    const group = ours[0]!;
    for (;;) {
      const known = this.#services.view.entry("groups");
      const groups = (known?.value as GroupsRecord | undefined)?.groups ?? {};
      const found = this.#groupOf(groups, ours);
      if (found !== undefined) return found;
      const others = Object.entries(groups).filter(([, names]) => !overlap(names, ours));
      const value: GroupsRecord = { groups: { ...Object.fromEntries(others), [group]: ours } };
      const expected = known?.revision ?? 0;
      const result = await this.#services.writer.writeAsync({ key: "groups", expected, value });
      if (result.ok) return group;
    }
  }

  /** The group of exactly these entities; one that overlaps and has live nodes is an error. */
  #groupOf(groups: GroupsRecord["groups"], ours: readonly string[]): string | undefined {
    for (const [group, names] of Object.entries(groups)) {
      if (!overlap(names, ours)) continue;
      if (names.join() === ours.join()) return group;
      const { sessions } = this.#services.view;
      const hosts = [...sessions].filter(
        ([incarnation, { record }]) =>
          record.group === group && this.#services.view.isAlive(incarnation),
      );
      if (hosts.length === 0) continue;
      const details = { ours: ours.join(", "), theirs: names.join(", ") };
      throw new CatgaError("ENTITY_SETS_DIFFER", details);
    }
    return undefined;
  }

  async #register(introduction: Introduction, group: string | null): Promise<void> {
    const { clock, writer, self, times, load } = this.#services;
    const { node, address, weight, endpoint, runtime, processId } = introduction;
    const sentMs = clock.nowMs();
    const session: SessionRecord = {
      state: "up",
      heartbeat: 0,
      node,
      address,
      group,
      weight,
      endpoint,
      runtime,
      processId,
      load: load(),
    };
    const result = await writer.writeAsync({ key: sessionKey(self), expected: 0, value: session });
    if (!result.ok) throw new CatgaError("NODE_ID_TAKEN", { node });
    this.#session = session;
    this.#revision = result.revision;
    this.#lease = grantedLease(sentMs, times);
    this.#services.renewed(sentMs + times.timeoutMs);
  }

  async #bootstrap(group: string): Promise<void> {
    const value = { owner: this.#services.self, epoch: 1, cleanSince: 1, handoff: null };
    await this.#createOrRead(genesisKey(group), value);
  }

  async #createOrRead<R extends Entry["value"]>(key: string, value: R): Promise<R> {
    const known = this.#services.view.entry(key);
    if (known !== undefined) return known.value as R;
    const result = await this.#services.writer.writeAsync({ key, expected: 0, value });
    return result.ok ? value : (result.current?.value as R);
  }

  #tick(): void {
    const nowMs = this.#services.clock.nowMs();
    this.#step({ kind: "tick", nowMs });
    this.#cancelTick = this.#services.clock.after(this.#services.times.everyMs, () => this.#tick());
  }

  #step(event: LeaseEvent): void {
    const [lease, effect] = stepLease(this.#lease, event, this.#services.times);
    this.#lease = lease;
    if (lease.kind === "held") this.#services.renewed(lease.untilMs);
    if (effect?.kind === "fence") this.#services.fenced();
    if (effect?.kind === "renew") this.#renew(effect.operation);
  }

  #renew(operation: number): void {
    const session = this.#session!;
    const { heartbeat } = session;
    this.#session = { ...session, heartbeat: heartbeat + 1, load: this.#services.load() };
    this.#write(this.#session, (result) => {
      this.#step(result.ok ? { kind: "renewed", operation } : { kind: "refused" });
    });
  }

  async #change(state: SessionRecord["state"]): Promise<void> {
    if (this.#session === undefined) return;
    this.#session = { ...this.#session, state };
    const session = this.#session;
    await new Promise<void>((resolve) => this.#write(session, () => resolve()));
  }

  /** One write at a time: each has to know the revision of the one before (L2). */
  #write(value: SessionRecord, done: (result: CasResult) => void): void {
    this.#lastWrite = this.#lastWrite.then(async () => {
      const key = sessionKey(this.#services.self);
      const expected = this.#revision;
      const result = await this.#services.writer.writeAsync({ key, expected, value });
      if (result.ok) this.#revision = result.revision;
      done(result);
    });
  }
}

function overlap(a: readonly string[], b: readonly string[]): boolean {
  return a.some((name) => b.includes(name));
}
