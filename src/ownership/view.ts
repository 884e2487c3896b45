/**
 * What a node knows of the cluster: the records of the authority, taken in monotonically.
 *
 * Records arrive by the feed, by answers to compare-and-sets and by redirects, in any order; for
 * each key the highest revision wins whichever way it came (O5): a late piece of news never revives
 * a released epoch. The class holds no timer and no promise.
 */
import type { Entry } from "../protocol/ledger.ts";
import type { GroupsRecord, IdRecord, SessionRecord, ShardRecord } from "../protocol/records.ts";

/** A record with its revision; revision 0 is the shard as its group's genesis record has it. */
export interface Versioned<R> {
  readonly revision: number;
  readonly record: R;
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

interface GroupView {
  genesis: Versioned<ShardRecord> | undefined;
  readonly shards: Map<number, Versioned<ShardRecord>>;
}

/** See the file's header. */
export class View {
  readonly #entries = new Map<string, Entry>();
  readonly #sessions = new Map<string, Versioned<SessionRecord>>();
  readonly #groups = new Map<string, GroupView>();
  #groupOfEntity = new Map<string, string>();

  /** All sessions, by incarnation; dead ones too. */
  get sessions(): ReadonlyMap<string, Versioned<SessionRecord>> {
    return this.#sessions;
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
    const view = this.#groups.get(group);
    if (view === undefined) return undefined;
    return view.shards.get(shard) ?? view.genesis;
  }

  /** True for a node that may act: up or leaving. */
  isAlive(incarnation: string): boolean {
    const state = this.#sessions.get(incarnation)?.record.state;
    return state === "up" || state === "leaving";
  }

  /**
   * True for a node whose session is over. Of one that is unknown nobody can say so: the record of
   * a shard may come, by a redirect, before that of its owner's session (O1).
   */
  isGone(incarnation: string): boolean {
    const state = this.#sessions.get(incarnation)?.record.state;
    return state === "dead" || state === "left";
  }

  /** True when a live node hosts `group`. */
  isHosted(group: string): boolean {
    return [...this.#sessions].some(
      ([incarnation, { record }]) => record.group === group && this.isAlive(incarnation),
    );
  }

  /** Sessions that may be given shards of `group`, by node id. */
  targets(group: string): Target[] {
    const targets = new Map<string, Target>();
    for (const [incarnation, { record }] of this.#sessions) {
      const { node: name, weight } = record;
      if (record.state !== "up" || record.group !== group) continue;
      // Of two starts under one id the later one stays; incarnations sort by time.
      if (incarnation < (targets.get(name)?.incarnation ?? "")) continue;
      targets.set(name, { incarnation, name, weight });
    }
    return [...targets.values()];
  }

  /** Takes an entry in; `undefined` when it is old news or of an unknown kind. */
  apply(entry: Entry): ViewChange | undefined {
    if (entry.revision <= (this.#entries.get(entry.key)?.revision ?? 0)) return undefined;
    this.#entries.set(entry.key, entry);
    const name = entry.key.slice(2);
    switch (entry.key.slice(0, 2)) {
      case "n.": {
        const before = this.#sessions.get(name)?.record.state;
        const record = entry.value as SessionRecord;
        this.#sessions.set(name, { revision: entry.revision, record });
        return { kind: "session", incarnation: name, before };
      }
      case "s.": {
        // A group may contain dots, a shard number cannot.
        const [group, shard] = [name.replace(/\.\d+$/, ""), Number(/\d+$/.exec(name)?.[0])];
        const record = entry.value as ShardRecord;
        const before = this.shard(group, shard)?.record.owner ?? undefined;
        this.#group(group).shards.set(shard, { revision: entry.revision, record });
        return { kind: "shard", group, shard, before };
      }
      case "g.":
        // A shard without a record of its own has never been written: its revision is 0.
        this.#group(name).genesis = { revision: 0, record: entry.value as ShardRecord };
        return { kind: "genesis", group: name };
      case "le":
        return { kind: "leader", incarnation: (entry.value as IdRecord).incarnation };
      case "gr":
        this.#groupOfEntity = byEntity(entry.value as GroupsRecord);
        return { kind: "groups" };
      default:
        return undefined;
    }
  }

  #group(group: string): GroupView {
    let view = this.#groups.get(group);
    if (view === undefined) {
      view = { genesis: undefined, shards: new Map() };
      this.#groups.set(group, view);
    }
    return view;
  }
}

function byEntity(record: GroupsRecord): Map<string, string> {
  const groups = new Map<string, string>();
  for (const [group, entities] of Object.entries(record.groups)) {
    for (const entity of entities) groups.set(entity, group);
  }
  return groups;
}
