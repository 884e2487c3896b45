/**
 * The authority: one strongly consistent, small set of records. It says who lives (sessions) and
 * who owns which shard. It is written at heartbeats and moves only; no message ever waits for it.
 */
import type { CasResult, Change, Entry } from "../protocol/ledger.ts";

/** All records at one revision. */
export interface Snapshot {
  /**
   * Rises when the authority has lost records it had acknowledged. It answers nobody then until
   * every lease of the last generation is over, and nothing that was asked in that one ever.
   */
  readonly generation: number;
  readonly revision: number;
  readonly entries: readonly Entry[];
}

/** Where an authority reports to. No method may throw. */
export interface AuthorityListener {
  /**
   * Changes after the snapshot, in the order of their revisions, each once, none left out. Only
   * heartbeats of sessions, which change no state, may come late, the latest for those before it.
   */
  changed(entries: readonly Entry[]): void;
  /** Changes may have been missed: here is everything as it stands now. */
  resynced(snapshot: Snapshot): void;
  /** The authority will not answer this node again; `error` says why. */
  lost(error: Error): void;
}

/** See the file's header. */
export interface Authority {
  /** Opens the feed; `listener` hears every change after the snapshot this resolves to. */
  open(listener: AuthorityListener): Promise<Snapshot>;
  /**
   * Independent compare-and-sets, each linearisable on its key, in one round trip where that is
   * possible; order is kept. A rejection means *unknown*: a change may have been carried out, or
   * may still be. Ask again with the same operation id to learn it.
   */
  casMany(changes: readonly Change[]): Promise<CasResult[]>;
  /** Leaves; nothing is reported any more. Twice is fine. */
  close(): Promise<void>;
}
