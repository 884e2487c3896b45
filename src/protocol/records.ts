/**
 * The records of the authority: who lives, who owns what. All are plain JSON.
 *
 * | key | record | written by |
 * |---|---|---|
 * | `meta` | {@link MetaRecord} | the first node |
 * | `groups` | {@link GroupsRecord} | a node that joins with a new set of entity types |
 * | `leader` | {@link LeaderRecord} | whoever finds that there is none |
 * | `n.<incarnation>` | {@link SessionRecord} | the node; whoever finds it dead; a later node |
 * | `g.<group>` | {@link ShardRecord} | a group's first node: owns what has no record |
 * | `s.<group>.<shard>` | {@link ShardRecord} | the owner (handoff), or who claims it |
 */
import { hasShape, type Shape } from "../base/shape.ts";

/** Parameters that all nodes must share; they are fixed for the life of the cluster. */
export interface MetaRecord {
  readonly shardCount: number;
  readonly virtualNodes: number;
}

/** Which entity types live together, by group. A type belongs to one group at most. */
export interface GroupsRecord {
  readonly groups: Readonly<Record<string, readonly string[]>>;
}

/** Which incarnation leads. */
export interface LeaderRecord {
  readonly incarnation: string;
}

/** An entity that gets far more messages than others of its node; its share is from 0 to 1. */
export type HotRow = readonly [entity: string, id: string, share: number, perSecond: number];

/** Figures of a node that travel with its heartbeats. */
export interface LoadFigures {
  /** Calls of its handlers that are under way, on average. */
  readonly inFlight: number;
  /** Share of one core, 0 to 1 and above with several threads. */
  readonly cpu: number;
  readonly memoryBytes: number;
  readonly messagesPerSecond: number;
  readonly eventLoopLagMs: number;
}

/** The same, with the node's hot keys. */
export interface SessionLoad extends LoadFigures {
  /** The most frequent first; nothing when there is none. */
  readonly hot?: readonly HotRow[];
}

/**
 * A node's registration. `left` and `dead` are final. `away` is a node that cannot be heard, whose
 * shards nobody takes over.
 */
export interface SessionRecord {
  /** Whose it is: its key is that of the first one that stood there, if nothing else is said. */
  readonly incarnation?: string;
  readonly state: "up" | "leaving" | "left" | "dead" | "away";
  /** When that became final, by the wall clock of whoever made it so. */
  readonly overMs?: number;
  readonly heartbeat: number;
  readonly node: string;
  readonly address: string;
  /** The group of entity types the node hosts, or null for a node that only calls. */
  readonly group: string | null;
  /** Where the node keeps entities; nothing when it does not, or of a node that is older. */
  readonly store?: string;
  readonly weight: number;
  /** How long the session lives without a renewal. */
  readonly leaseMs: number;
  readonly endpoint: string | null;
  /** Messages that it has handlers for, besides those with a key; of older nodes nothing. */
  readonly handlers?: readonly string[];
  readonly runtime: string;
  readonly load: SessionLoad;
}

/** Who owns a shard. */
export interface ShardRecord {
  readonly owner: string | null;
  /** Rises by one with every new ownership. */
  readonly epoch: number;
  /** The smallest epoch since which every change of owner was a planned handoff. */
  readonly cleanSince: number;
  /** The handoff that made the owner, null after a claim. */
  readonly handoff: string | null;
}

/** Any of the records. */
export type AuthorityRecord =
  | MetaRecord
  | GroupsRecord
  | LeaderRecord
  | SessionRecord
  | ShardRecord;

/** The key of a node's registration. */
export function sessionKey(incarnation: string): string {
  return `n.${incarnation}`;
}

/** Whose session a record is, if it is one. */
export function sessionOf(
  entry: { readonly key: string; readonly value: unknown } | undefined,
): string | undefined {
  if (entry?.key.startsWith("n.") !== true) return undefined;
  return (entry.value as SessionRecord).incarnation ?? entry.key.slice(2);
}

/** The key of a shard's owner. */
export function shardKey(group: string, shard: number): string {
  return `s.${group}.${shard}`;
}

const SHARD: Shape = {
  owner: "string?",
  epoch: "number",
  cleanSince: "number",
  handoff: "string?",
};
/** What counts for fields that a session may lack. */
const ABSENT = { store: "", incarnation: "", overMs: 0, handlers: [] };
/** What a peer's records must hold, by the first two characters of their keys. */
const SHAPES: Readonly<Record<string, Shape>> = {
  "n.": {
    node: "string",
    address: "string",
    group: "string?",
    weight: "number",
    leaseMs: "number",
    load: "object",
    store: "string",
    incarnation: "string",
    overMs: "number",
    handlers: "list",
  },
  "g.": SHARD,
  "s.": SHARD,
  le: { incarnation: "string" },
  gr: { groups: "object" },
};

/**
 * True for a record that makes sense under `key`: what a peer sent is checked before it is kept.
 */
export function isRecord(key: string, value: unknown): value is AuthorityRecord {
  const absent = key.startsWith("n.") ? ABSENT : {};
  const shape = SHAPES[key.slice(0, 2)] ?? {};
  if (!hasShape(value, {}) || !hasShape({ ...absent, ...(value as object) }, shape)) return false;
  if (key.startsWith("n.") && !areHotRows((value as SessionRecord).load.hot ?? [])) return false;
  const lists: unknown[] = key.startsWith("gr")
    ? Object.values((value as GroupsRecord).groups)
    : [(value as Partial<SessionRecord>).handlers ?? []];
  return lists.every(
    (names) => Array.isArray(names) && names.every((name) => typeof name === "string"),
  );
}

function areHotRows(rows: unknown): boolean {
  return Array.isArray(rows) && rows.every(isHotRow);
}

function isHotRow(row: unknown): boolean {
  const types = ["string", "string", "number", "number"];
  return Array.isArray(row) && types.every((type, at) => typeof row[at] === type);
}
