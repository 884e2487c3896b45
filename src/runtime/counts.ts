/**
 * What a node counts: plain numbers on objects that are at hand where something happens, so that
 * nothing is looked up. Whoever wants to know reads them (`figures.ts`).
 */
import type { CatgaError } from "../base/errors.ts";

/** Upper bounds of how long turns took; the last count is of longer ones. */
export const TURN_BOUNDS_MS: readonly number[] = [1, 5, 25, 100, 500, 2_500, 10_000];
/** The first of them: most turns are done with that. */
const QUICK_MS = 1;

/** Of one message of an entity type, or one with a name of its own. */
export class MessageCounts {
  /** Handlers that have ended well. */
  ok = 0;
  /** Handlers that threw. */
  failed = 0;
  /** Refused by a schema, or by the handler in a way that it had declared. */
  refused = 0;
  /** Refused because too many of them ran. */
  overloaded = 0;
  /** Refused because too many waited for the entity. */
  full = 0;
  /** Refused by a rate limit. */
  limited = 0;
  /** Nobody waited for the answer any more when its turn came. */
  expired = 0;
  /** How long they ran; what is one-way and returns no promise is not timed, and takes nothing. */
  totalMs = 0;
  /** How many took longer than each of {@link TURN_BOUNDS_MS}, and no longer than the next. */
  readonly slow: number[] = TURN_BOUNDS_MS.map(() => 0);
}

/** A handler has ended; HANDLER_FAILED is what an error is when the handler threw it. */
export function countEnd(counts: MessageCounts, error: CatgaError | undefined): void {
  if (error === undefined) counts.ok++;
  else if (error.code === "HANDLER_FAILED") counts.failed++;
  else if (error.code === "OVERLOADED") counts.overloaded++;
  else counts.refused++;
}

/** It has taken so long. */
export function countTime(counts: MessageCounts, tookMs: number): void {
  counts.totalMs += tookMs;
  if (tookMs > QUICK_MS) countSlow(counts, tookMs);
}

// Its closure would cost each turn something in there.
function countSlow({ slow }: MessageCounts, tookMs: number): void {
  slow[TURN_BOUNDS_MS.findLastIndex((ms) => tookMs > ms)]!++;
}

/** Of the stream to another node and back. */
export class LinkCounts {
  /** False while that node does not acknowledge what it was sent. */
  isUp = true;
  framesIn = 0;
  framesOut = 0;
  bytesIn = 0;
  bytesOut = 0;
  itemsIn = 0;
  itemsOut = 0;
  /** Frames that were sent again. */
  resent = 0;
}

/** Of shards that this node gives to others. */
export class MoveCounts {
  underway = 0;
  finished = 0;
  /** Opened again: a turn was too long, or the receiver did not answer. They are tried later. */
  failed = 0;
}

/** Of the store. */
export class StoreCounts {
  reads = 0;
  writes = 0;
  /** Writes that found another record than they expected. */
  conflicts = 0;
  /** Reads and writes of which nobody knows what became. */
  failed = 0;
}
