/**
 * Every default and every limit of catga, each with its reason. Units stand last in the names.
 */
import type { Backoff } from "./backoff.ts";

/** Fixed slices of the key space. 1,024 keep a move below 0.1 s and suffice for some 25 nodes. */
export const SHARD_COUNT = 1024;
/** A shard number must fit the tables that every node keeps. */
export const SHARD_COUNT_MAX = 16_384;
/** Points on the ring per unit of weight: with more, at many nodes, most hold no shard at all. */
export const VIRTUAL_NODES = 64;
/** A node may hold this times its fair share, rounded up: 1.15 with 4,096 shards on 100 nodes. */
export const LOAD_BOUND = 1.125;
/** A lighter node would hold next to nothing. */
export const WEIGHT_MIN = 0.1;
/** Weights beyond this would make the ring large for no visible gain. */
export const WEIGHT_MAX = 100;

/** An id goes into records, logs and paths of brokers; longer ones are keys in disguise. */
export const ID_BYTES_MAX = 256;
/** Ids of one entity type whose shard a node remembers: enough for what is busy at a time. */
export const KNOWN_IDS_MAX = 16_384;
/** A call without a deadline of its own. */
export const CALL_TIMEOUT_MS = 10_000;
/** Longer waits belong to reminders; also keeps timers far from the 2^31 ms limit of runtimes. */
export const DURATION_MS_MAX: number = 400 * 86_400_000;
/** Messages waiting for one entity: enough for a burst, too few to hide an overload. */
export const MAILBOX_CAPACITY = 1024;
/** Calls of one message that a node handles at once, if its definition says nothing. */
export const HANDLERS_AT_ONCE = 1024;
/** An activation that nobody used for this long leaves memory. */
export const IDLE_MS = 600_000;
/** One message or reply: what is larger belongs into a store, its address into the message. */
export const MESSAGE_BYTES_MAX = 1_048_576;
/** Nesting of a payload: legal data stays far below, a cycle ends here. */
export const DEPTH_MAX = 64;
/**
 * Nesting of a state. It is written and read by recursion: Node.js can read 1,700 levels with what
 * stack it has, and writes and Bun reads far more, which no other node could read any more.
 */
export const STATE_DEPTH_MAX = 500;
/** Of a text that a handler threw; errors are for people, not for data. */
export const ERROR_TEXT_CHARS_MAX = 4_096;
/** A batch leaves when it has grown to this, so that the other side can begin with it. */
export const BATCH_ITEMS_MAX = 128;
/** The same for its size as JSON, estimated from above. */
export const BATCH_CHARS_MAX = 262_144;
/** A frame a peer may send: one batch and one message of the largest size, in escaped UTF-8. */
export const FRAME_BYTES_MAX: number = 8 * 1_048_576;

/** Messages of one sender to one shard that their owner has not accepted yet. */
export const CHANNEL_WINDOW = 1024;
/** Frames to one node that it has not acknowledged yet, in bytes of text. */
export const PEER_WINDOW_BYTES: number = 4 * 1_048_576;
/** Frames of one node that are kept behind a missing one; what is beyond is sent again. */
export const EARLY_FRAMES_MAX = 256;
/** Sends to one shard that wait for its window to open; one more is refused. */
export const WAITING_SENDS_MAX = 16_384;
/** First wait before unacknowledged frames are sent again; doubles to the second figure. */
export const RETRANSMIT_MS = 250;
/** See {@link RETRANSMIT_MS}. */
export const RETRANSMIT_MS_MAX = 2_000;
/** How long a sender waits when a shard is between two owners. */
export const HOLD_MS = 20;

/** A slice of turns ends after this and gives the event loop back (heartbeats, sockets). */
export const SLICE_MS = 10;
/** Events that wait for a slow listener: as many as all shards when they move at once. */
export const LISTENER_CAPACITY = 1_024;
/** Watches of entities that one node has at a time: more than it can have connections. */
export const WATCHES_MAX = 16_384;
/** Watched entities of one shard, of which the last pushes travel with it. */
export const WATCHED_MAX = 1_024;
/** A node says so often that it still watches. */
export const WATCH_RENEW_MS = 5_000;
/** Who has not said so for this does not; longer than a browser takes to come back. */
export const WATCH_FORGET_MS = 20_000;
/** Of a watched entity so many pushes are kept for who comes back, or has no room. */
export const PUSHES_KEPT = 256;
/** The same for their size as JSON, estimated from above; the last one is kept in any case. */
export const PUSHES_KEPT_CHARS = 262_144;
/** Pushes of one turn: as many as wait for a slow listener. */
export const PUSHES_OF_TURN_MAX = 1_024;
/** Turns that may run inside each other on one stack; deeper ones wait in the mailbox. */
export const NESTED_TURNS_MAX = 32;

/** Of the calls that go by load, this part goes to the worse node: it may be quick again. */
export const TRIAL_PART: number = 1 / 64;
/** What one heartbeat counts beside those before it: with more, callers swing between nodes. */
export const FIGURES_SHARE = 0.2;
/** The same for one answer. */
export const ANSWER_SHARE = 0.2;
/** Failures in a row that open the circuit of a node: fewer may be one bad moment. */
export const CIRCUIT_THRESHOLD = 5;
/** Waits before one call may try whether a node is well again: it doubles to the second figure. */
export const CIRCUIT_HALF_OPEN: Backoff = { firstMs: 1_000, longestMs: 30_000 };
/** Circuits of nodes that are gone, for each type of message: these may come back. */
export const CIRCUITS_KEPT = 100;
/** Further tries of a call whose node failed: with more, an overload multiplies itself. */
export const FAILOVER_RETRIES = 3;

/** Turns that wait for a call, each for the next: more is a recursion without an end. */
export const CHAIN_LINKS_MAX = 64;

/** What a trace carries beside its ids: W3C Trace Context asks for at least so much. */
export const TRACESTATE_CHARS_MAX = 512;
/** All of it, in escaped JSON. */
export const TRACE_CHARS_MAX: number = 2 * TRACESTATE_CHARS_MAX + 64;

/** The answer to a command with a key is kept for this: longer than callers go on trying. */
export const DEDUP_MS = 600_000;
/** Answers that one entity keeps at most; one more command with a key is refused. */
export const DEDUP_ENTRIES_MAX = 1_024;
/** The same for their size as JSON, estimated from above. */
export const DEDUP_CHARS_MAX: number = 4 * 1_048_576;
/** A key comes from outside, and is sent and kept like an id. */
export const KEY_CHARS_MAX = 256;
/** Tries beyond these are a loop that nobody watches. */
export const RETRIES_MAX = 100;
/** Waits before a call, or joining, is tried again. */
export const RETRY: Backoff = { firstMs: 50, longestMs: 2_000 };

/** What write-behind may lose: answers of so long, and what was under way. */
export const WRITE_BEHIND_MS = 1_000;

/** A singleton that runs on for so long after its signal has aborted is told of as stuck. */
export const TASK_STUCK_MS = 10_000;

/** What has waited or run for so long is told of as stuck: three times the deadline of a call. */
export const STUCK_MS = 30_000;
/** Of what is stuck at a time so much is told: the oldest, which the rest may wait for. */
export const STUCK_MAX = 100;
/** How often a node looks at what is oldest, so that what is stuck shows within a second. */
export const PROGRESS_MS = 1_000;
/** A node is not ready with less of its lease: two renewals in a row have got no answer. */
export const UNREADY_LEASE_PART = 0.5;
/** Nor when a message waits for longer than calls do: those who sent it have given up. */
export const UNREADY_MESSAGE_MS = 15_000;
/** Nor when a shard does not get away: a move takes less than a second, and is tried again. */
export const UNREADY_HANDOFF_MS = 30_000;
/** Nor when its event loop was late by this: its lease may be as short. */
export const UNREADY_LAG_MS = 500;

/** How often a node looks into the store whose reminders are due soon. */
export const REMINDER_SCAN_MS = 30_000;

/** Of a store's identity: nobody makes a second one with the same. */
export const IDENTITY_CHARS = 16;
/** Stores remember for so long that an entity was deleted: longer than anybody writes late. */
export const DELETED_MS: number = 7 * 86_400_000;
/** How often each node of a store that has to look for them has it forget what is older. */
export const FORGET_EVERY_MS = 60_000;

/** Answers to queries that one node keeps: their table takes some 0.5 MB from the first one on. */
export const CACHE_ENTRIES_MAX = 16_384;
/** The same for their size, estimated from above: text takes a third or a sixth of it. */
export const CACHE_BYTES_MAX: number = 64 * 1_048_576;

/** Membership changes within this time cause one rebalance, not several. */
export const SETTLE_MS = 50;
/** Handoffs a node begins with; each that ends makes room for one more: heirs begin cold. */
export const HANDOFFS_MIN = 2;
/** Handoffs one node drives at the same time: few, so that each is short. */
export const HANDOFFS_MAX = 8;
/** A receiver that has not answered a transfer by then is asked again, or given up on. */
export const STAGE_TIMEOUT_MS = 1_000;
/** A shard whose turns have not ended by then is opened again, and tried later. */
export const SEAL_BUDGET_MS = 50;
/** A busy shard is looked at again after this. */
export const SEAL_RETRY_MS = 200;
/** A shard with an entity that cannot travel is tried again after this. */
export const UNMOVABLE_RETRY_MS = 30_000;
/** Messages of a transfer have so many characters, unless one entity's state has more. */
export const TRANSFER_CHARS_MAX = 262_144;
/** The state of one entity, escaped: in UTF-8 it may take three times as many bytes of a frame. */
export const STATE_CHARS_MAX: number = 2.5 * 1_048_576;

/** One operation at the authority, tried again with the same operation id when it is silent. */
export const AUTHORITY_TIMEOUT_MS = 1_000;
/** An authority that has not answered a renewal by then hangs, for this node at least. */
export const UNANSWERED_MS = 250;
/** Joining gives up after this. */
export const JOIN_TIMEOUT_MS = 10_000;
/** Stopping gives up on what hangs after this. */
export const STOP_DEADLINE_MS = 10_000;
/** A peer that has not finished its handshake by then is dropped. */
export const HANDSHAKE_TIMEOUT_MS = 3_000;
/** How often a node renews its session, and when others may take it for dead. */
export interface HeartbeatTimes {
  readonly everyMs: number;
  readonly timeoutMs: number;
}

/** The presets of the `heartbeat` option. A timeout is four intervals, so three may be lost. */
export const HEARTBEATS: { readonly [K in "fast" | "normal" | "relaxed"]: HeartbeatTimes } = {
  fast: { everyMs: 200, timeoutMs: 800 },
  normal: { everyMs: 750, timeoutMs: 3_000 },
  relaxed: { everyMs: 2_500, timeoutMs: 10_000 },
};

/** How far the rate of a clock may be off: real ones are off by a twentieth of it. */
const CLOCK_DRIFT_MAX = 0.01;
/** What others wait beyond a lease, for good measure. */
const LEASE_GUARD_MS = 40;

/**
 * L5: silence of a session after which others may declare it dead, counted from when they received
 * its last renewal. Its owner counts from before it sent that, so it has suspended by then, if the
 * rates of both clocks are less than one percent off. So long also waits whoever cannot ask those
 * that may still act.
 */
export function silenceMsMax(leaseMs: number): number {
  return leaseMs * (1 + 2 * CLOCK_DRIFT_MAX) + LEASE_GUARD_MS;
}

/** Up to so many nodes all watch all; beyond, each watches {@link WATCHED_NODES}. */
export const WATCH_ALL_MAX = 32;
/** See {@link WATCH_ALL_MAX}. */
export const WATCHED_NODES = 5;

/** Messages for entities that are counted between two heartbeats, for about a millisecond. */
export const HOT_SAMPLES = 2_000;
/** Counters for keys: none is off by more than a 512th of all, and they take 100 kB. */
export const HOT_COUNTERS = 512;
/** What was counted fades to a third in this time. */
export const HOT_WINDOW_MS = 5_000;
/** A key is hot from this share of its node's messages on, until it has half of it. */
export const HOT_SHARE_MIN = 0.05;
/** And from so many messages in a second on: a node that has nothing to do has no hot keys. */
export const HOT_RATE_MIN = 100;
/** Hot keys that a node tells the others of. */
export const HOT_KEYS_MAX = 5;
/** Of its own hot keys a node shows so many in its figures: what is a label must be few. */
export const HOT_SHOWN_MAX = 10;
/** Answers that the cache of one entity type keeps; they are old within a moment. */
export const HOT_CACHE_ENTRIES_MAX = 1_024;
/** The same for their size as JSON, estimated from above. */
export const HOT_CACHE_CHARS_MAX: number = 4 * 1_048_576;

/** Sessions that are over and forgotten by nobody, the latest ones, whatever a clock says. */
export const SESSIONS_KEPT = 1_000;
/**
 * One that was over for longer gives its key to a node that joins: nothing of it is on its way any
 * more, and the wall clocks of machines that somebody cares for differ by far less.
 */
export const SESSION_FORGOTTEN_MS = 86_400_000;

/** The wire protocol this version speaks; both sides of a link must agree. */
export const PROTOCOL = 1;
