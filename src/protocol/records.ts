/**
 * The records of the authority: who lives, who owns what. All are plain JSON.
 *
 * | key | record | written by |
 * |---|---|---|
 * | `meta` | {@link MetaRecord} | the first node |
 * | `groups` | {@link GroupsRecord} | a node that joins with a new set of entity types |
 * | `i.<node id>` | {@link IdRecord} | the node that takes the id |
 * | `n.<incarnation>` | {@link SessionRecord} | the node itself; whoever finds it dead |
 * | `g.<group>` | {@link ShardRecord} | a group's first node: owns what has no record |
 * | `s.<group>.<shard>` | {@link ShardRecord} | the owner (handoff), or who claims it |
 */

/** Parameters that all nodes must share; they are fixed for the life of the cluster. */
export interface MetaRecord {
  readonly shardCount: number;
  readonly virtualNodes: number;
}

/** Which entity types live together, by group. A type belongs to one group at most. */
export interface GroupsRecord {
  readonly groups: Readonly<Record<string, readonly string[]>>;
}

/** Which incarnation holds a node id. */
export interface IdRecord {
  readonly incarnation: string;
}

/** Figures of a node that travel with its heartbeats. */
export interface LoadFigures {
  readonly inFlight: number;
  /** Share of one core, 0 to 1 and above with several threads. */
  readonly cpu: number;
  readonly memoryBytes: number;
  readonly messagesPerSecond: number;
  readonly eventLoopLagMs: number;
}

/** A node's registration. `left` and `dead` are final. */
export interface SessionRecord {
  readonly state: "up" | "leaving" | "left" | "dead";
  readonly heartbeat: number;
  readonly node: string;
  readonly address: string;
  /** The group of entity types the node hosts, or null for a node that only calls. */
  readonly group: string | null;
  readonly weight: number;
  readonly endpoint: string | null;
  readonly runtime: string;
  readonly load: LoadFigures;
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
export type AuthorityRecord = MetaRecord | GroupsRecord | IdRecord | SessionRecord | ShardRecord;

/** What a key says about the record behind it. */
export type RecordKey =
  | { readonly kind: "groups" }
  | { readonly kind: "session"; readonly incarnation: string }
  | { readonly kind: "genesis"; readonly group: string }
  | { readonly kind: "shard"; readonly group: string; readonly shard: number };

/** The key of a node's registration. */
export function sessionKey(incarnation: string): string {
  return `n.${incarnation}`;
}

/** The key of a group's first owner. */
export function genesisKey(group: string): string {
  return `g.${group}`;
}

/** The key of a shard's owner. */
export function shardKey(group: string, shard: number): string {
  return `s.${group}.${shard}`;
}

/** The key of a node id. */
export function idKey(node: string): string {
  return `i.${node}`;
}

/** Reads a key, or `undefined` for one that only its writer reads or a newer version knows. */
export function parseKey(key: string): RecordKey | undefined {
  if (key === "groups") return { kind: "groups" };
  const [, kind, name = ""] = /^([ngs])\.(.+)$/.exec(key) ?? [];
  if (kind === "n") return { kind: "session", incarnation: name };
  if (kind === "g") return { kind: "genesis", group: name };
  if (kind !== "s") return undefined;
  // A group may contain dots, a shard number cannot.
  const dot = name.lastIndexOf(".");
  return { kind: "shard", group: name.slice(0, dot), shard: Number(name.slice(dot + 1)) };
}
