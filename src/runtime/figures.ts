/** What a node has counted, as plain data. Asked for, it is put together; nobody does that else. */
import { isInternal } from "../protocol/ids.ts";
import type { LinkCounts, MessageCounts, MoveCounts, StoreCounts } from "./counts.ts";
import type { MessageSpec } from "./definition.ts";
import type { EntityHost } from "./entity-host.ts";
import type { CircuitChange } from "./events.ts";
import { type Health, healthOf } from "./health.ts";
import type { OwnHotKey } from "./hot-keys.ts";
import type { Node } from "./node.ts";
import type { NodeContext } from "./node-context.ts";
import type { CacheFigures } from "./query-cache.ts";

/** Of one message: as an entity type has it, or with a name of its own and no entity, `""`. */
export interface MessageFigures extends Readonly<Omit<MessageCounts, "slow">> {
  readonly entity: string;
  readonly message: string;
  /** How many took no longer than each of `TURN_BOUNDS_MS`, but longer than the one before. */
  readonly took: readonly number[];
}

/** Of one entity type on this node. */
export interface EntityFigures {
  readonly entity: string;
  /** In memory. */
  readonly active: number;
  /** Since this node joined. */
  readonly activated: number;
  readonly passivated: number;
  /** Messages that wait for their turn. */
  readonly waiting: number;
  /** Turns that have returned a promise, which has not settled. */
  readonly running: number;
}

/** What one node has counted since it started, or since it last joined. */
export interface Figures {
  readonly node: string;
  readonly messages: readonly MessageFigures[];
  readonly entities: readonly EntityFigures[];
  /** Handlers of messages with a name of their own that run here, or wait for it. */
  readonly handling: number;
  /** To other nodes. */
  readonly calls: {
    readonly inFlight: number;
    readonly answered: number;
    /** By the code of the error. */
    readonly failed: Readonly<Record<string, number>>;
  };
  /** Streams to other nodes that live. */
  readonly links: readonly (Readonly<LinkCounts> & { readonly node: string })[];
  readonly shards: Readonly<MoveCounts> & { readonly owned: number };
  readonly store: Readonly<StoreCounts> | undefined;
  /** Answers that are kept: of entity types with `hotCache`, and `""` of messages with `cache`. */
  readonly caches: readonly (CacheFigures & { readonly entity: string })[];
  /** Of this node, the hottest first, 10 at most. */
  readonly hotKeys: readonly OwnHotKey[];
  readonly openCircuits: readonly CircuitChange[];
  readonly health: Health;
}

type Mediated = Pick<Figures, "openCircuits"> & { readonly cache: CacheFigures | undefined };

/** Puts the figures of a node together. */
export function figuresOf({ context, router }: Node, { openCircuits, cache }: Mediated): Figures {
  const { calls, moves, hot, store, inFlight, options } = context;
  const hosts = [...router.hosts.values()];
  const ofEntities = hosts.flatMap(({ definition: { name, messages } }) =>
    Array.from(messages.values(), (spec) => messageFigures(isInternal(name) ? "" : name, spec)),
  );
  const ofHandlers = options.handlers.map((spec) => messageFigures("", spec));
  const hotCaches = hosts.flatMap(({ definition, hotCache }) =>
    hotCache === undefined ? [] : { entity: definition.name, ...hotCache.figures },
  );
  const { size: inFlightCalls, answered, failures } = calls;
  return {
    node: options.nodeId,
    messages: [...ofEntities, ...ofHandlers],
    entities: hosts.filter(({ definition }) => !isInternal(definition.name)).map(entityFigures),
    handling: inFlight.count,
    calls: { inFlight: inFlightCalls, answered, failed: Object.fromEntries(failures) },
    links: linkFigures(context),
    shards: Object.assign({ owned: ownedBy(context) }, moves),
    store: store && Object.assign({}, store.counts),
    caches: cache === undefined ? hotCaches : [...hotCaches, { entity: "", ...cache }],
    hotKeys: hot.own,
    openCircuits,
    health: healthOf(context),
  };
}

function messageFigures(entity: string, { type: message, counts }: MessageSpec): MessageFigures {
  const { slow, ...rest } = Object.assign({}, counts);
  const ended = rest.ok + rest.failed + rest.refused + rest.overloaded;
  const quick = slow.reduce((left, some) => left - some, ended);
  return { entity, message, ...rest, took: [quick, ...slow] };
}

function entityFigures(host: EntityHost): EntityFigures {
  const { definition, activations, activated } = host;
  const { name: entity } = definition;
  const { size: active } = activations;
  const { count: waiting } = host.waiting;
  const { count: running } = host.running;
  return { entity, active, activated, passivated: activated - active, waiting, running };
}

function linkFigures({ links, view }: NodeContext): Figures["links"] {
  return [...view.living].flatMap(([incarnation, { record }]) => {
    const counts = links.get(incarnation);
    return counts === undefined ? [] : Object.assign({ node: record.node }, counts);
  });
}

function ownedBy({ view, options, self }: NodeContext): number {
  const [first] = options.entities;
  const group = first && view.groupOf(first.name);
  if (group === undefined) return 0;
  let owned = 0;
  for (let shard = 0; shard < options.shardCount; shard++) {
    if (view.shard(group, shard)?.record.owner === self) owned++;
  }
  return owned;
}
