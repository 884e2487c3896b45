/**
 * What a simulated cluster costs its network and its authority. Renewals of sessions stand apart:
 * they come all the time, so the rest of what is counted is the price of something that happened.
 */
import type { Change, Entry } from "../protocol/ledger.ts";

/** What all nodes have asked of the network and of the authority since the cluster started. */
export interface Traffic {
  /** Frames that were sent, also those that got lost. */
  readonly frames: number;
  readonly frameBytes: number;
  /** Compare-and-sets by which nodes said that they live, and nothing else. */
  readonly renewals: number;
  /** All other compare-and-sets, also those that were refused. */
  readonly compareAndSets: number;
  /** Round trips to the authority with one of these or more. */
  readonly requests: number;
  /** Records that came by the feed, at each node that heard them; renewals left out. */
  readonly news: number;
  /** The same for renewals alone. */
  readonly renewalNews: number;
  /** Records in the snapshots that nodes were given. */
  readonly snapshotRecords: number;
}

/** Counts; see the file's header. */
export class TrafficMeter implements Traffic {
  frames = 0;
  frameBytes = 0;
  renewals = 0;
  compareAndSets = 0;
  requests = 0;
  news = 0;
  renewalNews = 0;
  snapshotRecords = 0;

  /** A frame leaves a node. */
  sent(frame: Uint8Array): void {
    this.frames++;
    this.frameBytes += frame.length;
  }

  /** A request leaves a node. */
  asked(changes: readonly Change[]): void {
    const others = changes.filter((change) => !isRenewal(change)).length;
    this.renewals += changes.length - others;
    this.compareAndSets += others;
    if (others > 0) this.requests++;
  }

  /** News arrive at a node. */
  heard(entries: readonly Entry[]): void {
    const others = entries.filter((entry) => !isRenewal(entry)).length;
    this.news += others;
    this.renewalNews += entries.length - others;
  }

  /** A node is given a snapshot. */
  given(entries: readonly Entry[]): void {
    this.snapshotRecords += entries.length;
  }
}

/** A session begins with heartbeat 0; every later record of one that is up renews it. */
function isRenewal({ value }: Pick<Entry, "value">): boolean {
  return "heartbeat" in value && value.state === "up" && value.heartbeat > 0;
}
