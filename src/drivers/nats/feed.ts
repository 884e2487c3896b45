/**
 * The changes of the bucket, one after the other: the broker numbers them without a gap, so what is
 * lost on the way shows with the next one. What two clients wrote at the same moment may come in
 * the wrong order (the broker tells it after it has let go of the stream's lock), so a number that
 * comes early is kept for a while.
 *
 * Between {@link Feed.hold} and {@link Feed.follow} changes are kept, while the records are fetched
 * to which they belong.
 */
import type { Msg } from "@nats-io/transport-node";
import { RepublishHeaders } from "@nats-io/jetstream";
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

interface Waiter {
  readonly revision: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Kept changes, while the records are fetched: beyond it they are fetched again. */
const HELD_MAX = 100_000;
/** A change that its successors have overtaken by so much is lost. */
const OVERTAKEN_MS = 100;

/** See the file's header. */
export class Feed {
  readonly #subjects: string;
  readonly #clock: Clock;
  readonly #sink: FeedSink;
  #generation = 0;
  #revision = 0;
  #held: Msg[] | undefined = [];
  /** What came before its turn. */
  readonly #early = new Map<number, Msg>();
  #cancelTimer: (() => void) | undefined;
  readonly #waiters: Waiter[] = [];

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

  /** Keeps what comes from here on; who waits for a change waits in vain. */
  hold(): void {
    this.#held = [];
    this.#early.clear();
    this.#watch();
    for (const { reject } of this.#waiters.splice(0)) reject(new Error("the feed was interrupted"));
  }

  /** Tells what was kept and what comes, from the change after `revision` on. */
  follow(generation: number, revision: number): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    this.#generation = generation;
    this.#reach(revision);
    for (const message of held) this.receive(message);
  }

  /** Resolves when the change of `revision` has been told. */
  heard(revision: number): Promise<void> {
    if (revision <= this.#revision) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ revision, resolve, reject });
    });
  }

  /** A message of the feed. */
  receive(message: Msg): void {
    if (this.#held !== undefined) {
      if (this.#held.length < HELD_MAX) this.#held.push(message);
      return;
    }
    // Of a bucket that was made later: the one that is followed here is gone.
    if (this.#generationOf(message) > this.#generation) return this.#break();
    const revision = Number(message.headers?.get(RepublishHeaders.Sequence));
    if (revision <= this.#revision) return;
    this.#early.set(revision, message);
    const late = this.#cancelTimer !== undefined;
    if (revision !== this.#revision + 1) return late ? undefined : this.#watch();
    let next: Msg | undefined;
    while ((next = this.#early.get(this.#revision + 1)) !== undefined) this.#tell(next);
    if (late) this.#watch();
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

  /** Gives what is missing its time, from now on. */
  #watch(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#early.size === 0) return;
    this.#cancelTimer = this.#clock.after(OVERTAKEN_MS, () => this.#break());
  }

  #break(): void {
    this.hold();
    this.#sink.broken();
  }

  #reach(revision: number): void {
    this.#revision = revision;
    const heard = this.#waiters.filter((waiter) => waiter.revision <= revision);
    for (const waiter of heard) {
      this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
      waiter.resolve();
    }
  }
}
