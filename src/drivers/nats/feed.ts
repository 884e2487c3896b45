/**
 * The changes of the bucket, one after the other: the broker numbers them without a gap, so what is
 * lost on the way shows with the next one. What two clients wrote at the same moment may come in
 * the wrong order (the broker tells it after it has let go of the stream's lock), so a number that
 * comes early is kept for a while.
 *
 * Between {@link Feed.hold} and {@link Feed.follow} all changes are kept, while the records are
 * fetched to which they belong.
 */
import { RepublishHeaders } from "@nats-io/jetstream";
import type { Msg } from "@nats-io/transport-node";
import type { Clock } from "../../base/clock.ts";
import type { Entry } from "../../protocol/ledger.ts";
import { entryOf } from "./bucket.ts";

/** Where the feed goes. */
export interface FeedSink {
  /** In the order of their revisions, each once, none left out. */
  changed(entry: Entry): void;
  /** Something was left out, or told of another bucket: nothing more comes until `follow`. */
  broken(): void;
}

/** Kept changes: beyond it the records are fetched again. */
const KEPT_MAX = 100_000;
/** A change that its successors have overtaken by so much is lost. */
const OVERTAKEN_MS = 100;

/** See the file's header. */
export class Feed {
  readonly #subjects: string;
  readonly #clock: Clock;
  readonly #sink: FeedSink;
  #generation = 0;
  #revision = 0;
  #isFollowing = false;
  /** What came before its turn. */
  readonly #early = new Map<number, Msg>();
  #cancelTimer: (() => void) | undefined;
  #waiters: { readonly revision: number; readonly resolve: () => void }[] = [];

  /** `subjects` is how the subjects of the feed begin. */
  constructor(subjects: string, clock: Clock, sink: FeedSink) {
    this.#subjects = subjects;
    this.#clock = clock;
    this.#sink = sink;
  }

  /** The latest change that was told, or has come before what is told. */
  get revision(): number {
    return this.#revision;
  }

  /** Keeps what comes from here on; who waits for a change is not told any more. */
  hold(): void {
    this.#isFollowing = false;
    this.#early.clear();
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#waiters = [];
  }

  /** Tells what was kept and what comes, from the change after `revision` on. */
  follow(generation: number, revision: number): void {
    this.#generation = generation;
    this.#isFollowing = true;
    this.#reach(revision);
    for (const each of this.#early.keys()) if (each <= revision) this.#early.delete(each);
    this.#tellAll();
  }

  /** Resolves when the change of `revision` has been told. */
  heard(revision: number): Promise<void> {
    if (revision <= this.#revision) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ revision, resolve }));
  }

  /** A message of the feed. */
  receive(message: Msg): void {
    const revision = Number(message.headers?.get(RepublishHeaders.Sequence));
    // Of a bucket that was made later: the one that is followed here is gone.
    const isGone = this.#isFollowing && this.#generationOf(message) > this.#generation;
    if (isGone || this.#early.size === KEPT_MAX) this.#break();
    else if (!this.#isFollowing || revision > this.#revision) {
      this.#early.set(revision, message);
      if (this.#isFollowing) this.#tellAll();
    }
  }

  #tellAll(): void {
    const before = this.#revision;
    let next: Msg | undefined;
    while ((next = this.#early.get(this.#revision + 1)) !== undefined) this.#tell(next);
    if (this.#early.size === 0 || before !== this.#revision) {
      this.#cancelTimer?.();
      this.#cancelTimer = undefined;
    }
    if (this.#early.size === 0) return;
    this.#cancelTimer ??= this.#clock.after(OVERTAKEN_MS, () => this.#break());
  }

  #break(): void {
    this.hold();
    this.#sink.broken();
  }

  #tell(message: Msg): void {
    const revision = this.#revision + 1;
    this.#early.delete(revision);
    // Who has not noticed yet that its bucket is gone writes into this one, beside its records.
    const isOurs = this.#generationOf(message) === this.#generation;
    const entry = isOurs ? entryOf(message.data, revision) : undefined;
    if (entry !== undefined) this.#sink.changed(entry);
    this.#reach(revision);
  }

  #generationOf({ subject }: Msg): number {
    return Number.parseInt(subject.slice(this.#subjects.length), 10);
  }

  #reach(revision: number): void {
    this.#revision = revision;
    for (const waiter of this.#waiters) if (waiter.revision <= revision) waiter.resolve();
    this.#waiters = this.#waiters.filter((waiter) => waiter.revision > revision);
  }
}
