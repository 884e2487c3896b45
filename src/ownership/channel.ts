/**
 * Channels: numbered messages of one sender to one shard.
 *
 * The number makes a message one of a kind for its shard, whoever owns it: the receiver's counters
 * move with the shard, so a message that is sent again after a handoff is recognised (M1). What a
 * receiver refuses for good (full mailbox, unknown message) consumes its number, so that one bad
 * message never blocks the ones behind it. Pure decisions; the queues are in `runtime/`.
 */
import type { ShardRecord } from "../protocol/records.ts";

/** How far a sender's channel to a shard has come. */
export interface ChannelCounter {
  /** The sender's number for the channel; a higher one replaces it. */
  readonly channel: number;
  /** The highest message number that was accepted. */
  last: number;
}

/** What a receiver does with a message. */
export type Admission = "accept" | "duplicate" | "gap";

/**
 * M1: exactly the next number is accepted; a smaller one was accepted before, a larger one has lost
 * a predecessor. `last` is the highest accepted number, 0 for a channel that is new here.
 */
export function admit(last: number, sequence: number): Admission {
  if (sequence === last + 1) return "accept";
  return sequence <= last ? "duplicate" : "gap";
}

/** What a sender does with the messages that nobody has accepted. */
export type Recovery = "wait" | "resend" | "renumber";

/**
 * M3: a sender that resolved its shard at `epoch` learns of `record`. As long as all changes of
 * owner since then were handoffs, the counters moved along and the channel goes on. After a claim
 * they are gone: a new channel begins, and what had been sent on the old one has an unknown
 * outcome.
 */
export function recover(epoch: number, record: ShardRecord): Recovery {
  if (record.epoch <= epoch) return "wait";
  return record.cleanSince <= epoch ? "resend" : "renumber";
}

/** M2: a message resolved before the shard's last claim may have run before it. */
export function isStale(epoch: number, cleanSince: number): boolean {
  return epoch < cleanSince;
}
