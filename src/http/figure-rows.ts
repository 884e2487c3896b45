/** What Prometheus is told of a node: each metric, and how it is read off the node's figures. */
import { type Figures, TURN_BOUNDS_MS } from "../index.ts";

/** A line of a metric; `metricName` is that of a histogram's part. */
interface Sample {
  readonly value: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly metricName?: string;
}

type Kind = "counter" | "gauge" | "histogram";
type Read = (figures: Figures) => Sample[];
type Each<K extends keyof Figures> = Extract<Figures[K], readonly unknown[]>[number];

const OUTCOMES = ["ok", "failed", "refused", "overloaded", "full", "limited", "expired"] as const;

/** Names without their `catga_`. */
export const ROWS: readonly (readonly [string, Kind, string, Read])[] = [
  ["turns_total", "counter", "Messages by what became of them", turnsOf],
  ["turn_duration_seconds", "histogram", "How long handlers ran", durationsOf],
  ["entities", "gauge", "Entities in memory", ofEntities((e) => e.active)],
  ["entities_activated_total", "counter", "Came to memory", ofEntities((e) => e.activated)],
  ["entities_passivated_total", "counter", "Left memory", ofEntities((e) => e.passivated)],
  ["messages_waiting", "gauge", "Messages that wait for a turn", ofEntities((e) => e.waiting)],
  ["turns_running", "gauge", "Turns that wait for a promise", ofEntities((e) => e.running)],
  ["handlers_running", "gauge", "Handlers without an entity", ofNode((f) => f.handling)],
  ["calls_in_flight", "gauge", "Calls to other nodes", ofNode((f) => f.calls.inFlight)],
  ["calls_total", "counter", "Calls to other nodes by how they ended", callsOf],
  ["link_up", "gauge", "0 while a node acknowledges nothing", ofLinks((l) => Number(l.isUp))],
  ["link_frames_received_total", "counter", "Frames of a node", ofLinks((l) => l.framesIn)],
  ["link_frames_sent_total", "counter", "Frames to a node", ofLinks((l) => l.framesOut)],
  ["link_frames_resent_total", "counter", "Frames sent again", ofLinks((l) => l.resent)],
  ["link_received_bytes_total", "counter", "Bytes of those frames", ofLinks((l) => l.bytesIn)],
  ["link_sent_bytes_total", "counter", "Bytes of those frames", ofLinks((l) => l.bytesOut)],
  ["link_items_received_total", "counter", "Messages and the like", ofLinks((l) => l.itemsIn)],
  ["link_items_sent_total", "counter", "Messages and the like", ofLinks((l) => l.itemsOut)],
  ["shards", "gauge", "Shards of this node", ofNode((f) => f.shards.owned)],
  ["shards_moving", "gauge", "Shards it gives away", ofNode((f) => f.shards.underway)],
  ["shard_moves_total", "counter", "Shards it gave away", ofNode((f) => f.shards.finished)],
  ["shard_moves_failed_total", "counter", "Tries in vain", ofNode((f) => f.shards.failed)],
  ["store_reads_total", "counter", "Records read", ofNode((f) => f.store?.reads)],
  ["store_writes_total", "counter", "Records written", ofNode((f) => f.store?.writes)],
  ["store_conflicts_total", "counter", "Writes refused", ofNode((f) => f.store?.conflicts)],
  ["store_failures_total", "counter", "Outcome unknown", ofNode((f) => f.store?.failed)],
  ["cache_hits_total", "counter", "Answers from a cache", ofCaches((each) => each.hits)],
  ["cache_misses_total", "counter", "Answers asked for", ofCaches((each) => each.misses)],
  ["cache_entries", "gauge", "Answers that are kept", ofCaches((each) => each.entries)],
  ["cache_bytes", "gauge", "Their size, at most", ofCaches((each) => each.bytes)],
  ["hot_key_share", "gauge", "Part of the node's messages", ofHotKeys((key) => key.share)],
  ["hot_key_share_error", "gauge", "At most too high by", ofHotKeys((key) => key.error)],
  ["hot_key_messages_per_second", "gauge", "Rate", ofHotKeys((key) => key.perSecond)],
  ["circuit_open", "gauge", "Nodes that are left out", circuitsOf],
  ["ready", "gauge", "1 when the node gets on", ofNode(({ health }) => Number(health.ready))],
  ["stuck", "gauge", "What should have ended", ofNode(({ health }) => health.stuck.length)],
  ["event_loop_lag_seconds", "gauge", "At worst", inSeconds((h) => h.eventLoopLagMs)],
  ["lease_left_seconds", "gauge", "Of the session", inSeconds((h) => h.leaseLeftMs)],
  ["oldest_message_seconds", "gauge", "It waits", inSeconds((h) => h.oldestMessageMs)],
  ["oldest_handoff_seconds", "gauge", "It is tried", inSeconds((h) => h.oldestHandoffMs)],
];

/** What has never happened is left out, but for the good end: most of it never will. */
function turnsOf({ messages }: Figures): Sample[] {
  return messages.flatMap((counts) => {
    const { entity, message } = counts;
    const found = OUTCOMES.filter((outcome) => outcome === "ok" || counts[outcome] > 0);
    return found.map((outcome) => ({
      value: counts[outcome],
      labels: { entity, message, outcome },
    }));
  });
}

function durationsOf({ messages }: Figures): Sample[] {
  const ran = messages.filter(({ took }) => took.some((count) => count > 0));
  return ran.flatMap(({ entity, message, took, totalMs }) => {
    const metricName = "catga_turn_duration_seconds";
    const labels = { entity, message };
    let count = 0;
    const buckets = took.map((more, i) => {
      const bound = TURN_BOUNDS_MS[i];
      const le = bound === undefined ? "+Inf" : `${bound / 1_000}`;
      return {
        value: (count += more),
        labels: { ...labels, le },
        metricName: `${metricName}_bucket`,
      };
    });
    const sum = { value: totalMs / 1_000, labels, metricName: `${metricName}_sum` };
    return [...buckets, sum, { value: count, labels, metricName: `${metricName}_count` }];
  });
}

function callsOf({ calls }: Figures): Sample[] {
  const ends = Object.entries({ ok: calls.answered, ...calls.failed });
  return ends.map(([outcome, value]) => ({ value, labels: { outcome } }));
}

function circuitsOf({ openCircuits }: Figures): Sample[] {
  return openCircuits.map(({ node, message = "" }) => ({ value: 1, labels: { node, message } }));
}

function ofNode(read: (figures: Figures) => number | undefined): Read {
  return (figures) => {
    const value = read(figures);
    return value === undefined ? [] : [{ value, labels: {} }];
  };
}

function inSeconds(read: (health: Figures["health"]) => number | undefined): Read {
  return ofNode(({ health }) => {
    const ms = read(health);
    return ms === undefined ? undefined : ms / 1_000;
  });
}

function ofEntities(read: (entity: Each<"entities">) => number): Read {
  return ({ entities }) =>
    entities.map((each) => ({ value: read(each), labels: { entity: each.entity } }));
}

function ofLinks(read: (link: Each<"links">) => number): Read {
  return ({ links }) => links.map((each) => ({ value: read(each), labels: { node: each.node } }));
}

function ofCaches(read: (cache: Each<"caches">) => number): Read {
  return ({ caches }) =>
    caches.map((each) => ({ value: read(each), labels: { entity: each.entity } }));
}

function ofHotKeys(read: (key: Each<"hotKeys">) => number): Read {
  return ({ hotKeys }) =>
    hotKeys.map((each) => ({ value: read(each), labels: { name: each.name, id: each.id } }));
}
