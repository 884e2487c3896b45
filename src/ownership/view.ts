/**
 * What a node knows of the cluster: the records of the authority, taken in monotonically.
 *
 * Records arrive by the feed, by answers to compare-and-sets and by redirects, in any order; for
 * each key the highest revision wins whichever way it came (O5): a late piece of news never revives
 * a released epoch. The class holds no timer and no promise.
 */
import { SESSION_FORGOTTEN_MS, WATCH_ALL_MAX, WATCHED_NODES } from "../base/limits.ts";
import { begunMs } from "../protocol/ids.ts";
import type { Entry } from "../protocol/ledger.ts";
import {
  type GroupsRecord,
  type LeaderRecord,
  sessionOf,
  type SessionRecord,
  shardKey,
  type ShardRecord,
} from "../protocol/records.ts";

/** A record with its revision; revision 0 is the shard as its group's genesis record has it. */
export interface Versioned<R> {
  readonly revision: number;
  readonly record: R;
}

/** A session, with the key that its record stands under. */
export interface Session extends Versioned<SessionRecord> {
  readonly key: string;
}

/** A session that may be given shards. */
export interface Target {
  readonly incarnation: string;
  /** Its node id; each stands here once. */
  readonly name: string;
  readonly weight: number;
}

/** What an entry changed in the view. */
export type ViewChange =
  | { readonly kind: "session"; readonly incarnation: string; readonly before: SessionState }
  | {
      readonly kind: "shard";
      readonly group: string;
      readonly shard: number;
      /** Who owned it, as far as this node knew. */
      readonly before: string | undefined;
    }
  | { readonly kind: "leader"; readonly incarnation: string }
  | { readonly kind: "genesis"; readonly group: string }
  | { readonly kind: "groups" };

type SessionState = SessionRecord["state"] | undefined;

/** Stands in a group for every shard that was never written. */
const GENESIS = -1;

/** See the file's header. */
export class View {
  readonly #entries = new Map<string, Entry>();
  readonly #sessions = new Map<string, Session>();
  /** Those of {@link #sessions} that may act: what is asked often must not cost more with time. */
  readonly #living = new Map<string, Session>();
  readonly #groups = new Map<string, Map<number, Versioned<ShardRecord>>>();
  readonly #groupOfEntity = new Map<string, string>();
  /** Rises when a session begins or its state changes. */
  changes = 0;
  /** Up to here the feed has told of everything but heartbeats. */
  #toldRevision = 0;

  /** All sessions that are not forgotten, by incarnation; dead ones too. */
  get sessions(): ReadonlyMap<string, Session> {
    return this.#sessions;
  }

  /** Sessions of nodes that may act: up or leaving. */
  get living(): ReadonlyMap<string, Session> {
    return this.#living;
  }

  /** The newest record of `key` this node has seen. */
  entry(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  /** The group that hosts entity type `entity`. */
  groupOf(entity: string): string | undefined {
    return this.#groupOfEntity.get(entity);
  }

  /** Who owns `shard` of `group`, or `undefined` before the group's first node. */
  shard(group: string, shard: number): Versioned<ShardRecord> | undefined {
    const shards = this.#groups.get(group);
    return shards?.get(shard) ?? shards?.get(GENESIS);
  }

  /** True for a node that may act: up or leaving. */
  isAlive(incarnation: string): boolean {
    return this.#living.has(incarnation);
  }

  /**
   * True for a node whose session is over. Of one that is unknown nobody can say so: the record of
   * a shard may come, by a redirect, before that of its owner's session (O1).
   */
  isGone(incarnation: string): boolean {
    const state = this.#sessions.get(incarnation)?.record.state;
    return state === "dead" || state === "left";
  }

  /**
   * True when a session that the record of `key` names is over. What the feed tells comes after the
   * session of everybody it names: one that is unknown then was over, and is forgotten.
   */
  isOver(incarnation: string, key: string): boolean {
    if (this.#sessions.has(incarnation)) return this.isGone(incarnation);
    return (this.entry(key)?.revision ?? Number.POSITIVE_INFINITY) <= this.#toldRevision;
  }

  /** True when nobody owns a shard, or its owner's session is over. */
  isFree(group: string, shard: number): boolean {
    const owner = this.shard(group, shard)?.record.owner ?? null;
    const key = shardKey(group, shard);
    return owner === null || this.isOver(owner, this.#entries.has(key) ? key : `g.${group}`);
  }

  /**
   * True for a node that began so long before `wallMs` that its session was heard of, if it is not
   * forgotten: who is unknown and speaks has just begun, or was stopped for very long.
   */
  isForgotten(incarnation: string, wallMs: number): boolean {
    if (this.#sessions.has(incarnation)) return false;
    return wallMs - begunMs(incarnation) > SESSION_FORGOTTEN_MS / 2;
  }

  /** Whose key a node that joins at `wallMs` may have: the first, the last `kept` stay. */
  forgettable(wallMs: number, kept: number): Session | undefined {
    const over = [...this.#sessions.values()].filter(({ record }) => record.overMs !== undefined);
    const byAge = over.sort((a, b) => a.revision - b.revision).slice(0, -kept);
    return byAge.find(({ record }) => wallMs - record.overMs! > SESSION_FORGOTTEN_MS);
  }

  /** All live nodes but `self`; of many those that follow it in the circle of their names. */
  watchedBy(self: string): string[] {
    const alive = [...this.#living.keys()].sort();
    const at = alive.indexOf(self);
    const others = [...alive.slice(at + 1), ...alive.slice(0, Math.max(0, at))];
    return alive.length <= WATCH_ALL_MAX ? others : others.slice(0, WATCHED_NODES);
  }

  /** True when a live node hosts `group`. */
  isHosted(group: string): boolean {
    return [...this.#living.values()].some(({ record }) => record.group === group);
  }

  /**
   * Nodes that live and have this node id, or keep the entities of this group elsewhere. Of those
   * that join at the same time as a session of revision `before`, the later one will see that one.
   */
  rivals(
    { node, group, store }: Pick<SessionRecord, "node" | "group" | "store">,
    before: number = Number.POSITIVE_INFINITY,
  ): Map<string, SessionRecord> {
    const rivals = new Map<string, SessionRecord>();
    for (const [incarnation, { revision, record }] of this.#living) {
      // Whoever renews, or leaves, has joined before.
      const isOlder = revision < before || record.heartbeat > 0 || record.state !== "up";
      const isElsewhere = (record.store ?? store) !== store && record.group === group;
      const isRival = record.node === node || (isElsewhere && store !== undefined);
      if (isOlder && isRival) rivals.set(incarnation, record);
    }
    return rivals;
  }

  /** Sessions that may be given shards of `group`, by node id. */
  targets(group: string): Target[] {
    const targets = new Map<string, Target>();
    for (const [incarnation, { record }] of this.#living) {
      const { node: name, weight } = record;
      if (record.state !== "up" || record.group !== group) continue;
      // Of two starts under one id the first is over, or one leaves soon; they sort by time.
      if (incarnation < (targets.get(name)?.incarnation ?? "")) continue;
      targets.set(name, { incarnation, name, weight });
    }
    return [...targets.values()];
  }

  /** The feed has told of all changes up to these; heartbeats alone may come ahead of others. */
  told(entries: readonly Entry[]): void {
    for (const { key, revision } of entries) {
      if (!key.startsWith("n.")) this.#toldRevision = Math.max(this.#toldRevision, revision);
    }
  }

  /** What was missed, if `entry` is of another session than the one before: that one is over. */
  missedBefore({ key, revision, value }: Entry): Entry | undefined {
    const known = this.#entries.get(key);
    const former = sessionOf(known) ?? "";
    const isNews = revision > (known?.revision ?? 0) && former !== sessionOf({ key, value });
    if (known === undefined || !isNews || !this.isAlive(former)) return undefined;
    const end = { ...(known.value as SessionRecord), state: "dead" } as const;
    // At least one record between the two said so.
    return { ...known, revision: known.revision + 1, value: end };
  }

  /** Takes an entry in; `undefined` when it is old news or of an unknown kind. */
  apply(entry: Entry): ViewChange | undefined {
    const { key, revision, value } = entry;
    const known = this.#entries.get(key);
    if (revision <= (known?.revision ?? 0)) return undefined;
    this.#entries.set(key, entry);
    const name = key.slice(2);
    switch (key.slice(0, 2)) {
      case "n.": {
        const incarnation = sessionOf(entry)!;
        const former = sessionOf(known) ?? incarnation;
        if (former !== incarnation) {
          this.#sessions.delete(former);
          this.#living.delete(former);
        }
        const before = this.#sessions.get(incarnation)?.record.state;
        const session = { key, revision, record: value as SessionRecord };
        this.#sessions.set(incarnation, session);
        const { state } = session.record;
        if (state !== before) this.changes++;
        if (state === "up" || state === "leaving") this.#living.set(incarnation, session);
        else this.#living.delete(incarnation);
        return { kind: "session", incarnation, before };
      }
      case "s.": {
        // A group may contain dots, a shard number cannot.
        const [group, shard] = [name.replace(/\.\d+$/, ""), Number(/\d+$/.exec(name)?.[0])];
        const before = this.shard(group, shard)?.record.owner ?? undefined;
        this.#own(group, shard, { revision, record: value as ShardRecord });
        return { kind: "shard", group, shard, before };
      }
      case "g.":
        // A shard without a record of its own has never been written: its revision is 0.
        this.#own(name, GENESIS, { revision: 0, record: value as ShardRecord });
        return { kind: "genesis", group: name };
      case "le":
        return { kind: "leader", incarnation: (value as LeaderRecord).incarnation };
      case "gr":
        this.#groupOfEntity.clear();
        for (const [group, entities] of Object.entries((value as GroupsRecord).groups)) {
          for (const entity of entities) this.#groupOfEntity.set(entity, group);
        }
        return { kind: "groups" };
      default:
        return undefined;
    }
  }

  #own(group: string, shard: number, owned: Versioned<ShardRecord>): void {
    const shards = this.#groups.get(group) ?? new Map<number, Versioned<ShardRecord>>();
    this.#groups.set(group, shards.set(shard, owned));
  }
}
