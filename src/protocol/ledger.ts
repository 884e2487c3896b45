/**
 * Records under compare-and-set: the heart of an authority that lives in one process.
 *
 * Revisions come from one counter, so they order all changes. An operation carries an id; the same
 * id twice is the same operation, so a caller whose answer was lost may simply ask again.
 */
import { type AuthorityRecord, isRecord } from "./records.ts";

/** A record with the revision and the operation that wrote it. */
export interface Entry {
  readonly key: string;
  readonly revision: number;
  readonly value: AuthorityRecord;
  readonly operation: string;
}

/** Replaces the record of `key` if it still has revision `expected`; 0 means there is none. */
export interface Change {
  readonly key: string;
  readonly expected: number;
  readonly value: AuthorityRecord;
  readonly operation: string;
}

/** What became of a {@link Change}; a refusal carries what stands there instead. */
export type CasResult =
  | { readonly ok: true; readonly revision: number }
  | { readonly ok: false; readonly current: Entry | undefined };

/** See the file's header. */
export class Ledger {
  readonly #entries = new Map<string, Entry>();
  #revision = 0;

  /** The revision of the latest change. */
  get revision(): number {
    return this.#revision;
  }

  /** Carries `change` out or refuses it; `changed` is there only if something changed. */
  cas(change: Change): { readonly result: CasResult; readonly changed?: Entry } {
    const current = this.#entries.get(change.key);
    if (current !== undefined && current.operation === change.operation) {
      return { result: { ok: true, revision: current.revision } };
    }
    if ((current?.revision ?? 0) !== change.expected) return { result: { ok: false, current } };
    const { key, value, operation } = change;
    const changed: Entry = { key, value, operation, revision: ++this.#revision };
    this.#entries.set(key, changed);
    return { result: { ok: true, revision: changed.revision }, changed };
  }

  /** Carries `changes` out in their order; `changed` are those that changed something. */
  casMany(changes: readonly Change[]): { results: CasResult[]; changed: Entry[] } {
    const outcomes = changes.map((change) => this.cas(change));
    const changed = outcomes.flatMap(({ changed: entry }) => entry ?? []);
    return { results: outcomes.map(({ result }) => result), changed };
  }

  /** The record of `key` as it stands. */
  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  /** All records, in no particular order. */
  entries(): Entry[] {
    return [...this.#entries.values()];
  }

  /** Takes in `entries` of another ledger: for each key the highest revision stays. */
  merge(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const known = this.#entries.get(entry.key)?.revision ?? 0;
      if (entry.revision > known) this.#entries.set(entry.key, entry);
      this.#revision = Math.max(this.#revision, entry.revision);
    }
  }

  /** Leaves room for changes that somebody may have been told of and nobody alive remembers. */
  skip(count: number): void {
    this.#revision += count;
  }
}

/** True for an entry that makes sense: what a peer sent is checked before it is kept. */
export function isEntry(value: unknown): value is Entry {
  const { key, revision, value: record, operation } = (value ?? {}) as Partial<Entry>;
  if (typeof key !== "string" || typeof operation !== "string") return false;
  return Number.isSafeInteger(revision) && revision! > 0 && isRecord(key, record);
}

/** The same for a change. */
export function isChange(value: unknown): value is Change {
  const { expected, ...rest } = (value ?? {}) as Partial<Change>;
  return Number.isSafeInteger(expected) && isEntry({ ...rest, revision: 1 });
}
