/**
 * The authority on a bucket of the broker. A record's revision is the number of its message in the
 * stream, so revisions order all changes.
 *
 * - **Compare-and-set** is a publication that the broker takes only after the expected revision. It
 *   carries the operation's id: asked again, the broker recognises it, or the record shows it.
 * - **Feed**: `feed.ts`. After a gap or a reconnect the records are fetched as they stand.
 * - **Generation**: when the bucket was made. Nodes act under leases of one bucket; one that was
 *   made anew is another authority, and so is one that has forgotten: whoever remembers a newer
 *   record than it finds begins another generation in it. Whoever finds a generation first, or the
 *   server started again, waits as long as a lease may run that nobody remembers; then it leaves a
 *   mark, so that nobody else has to wait.
 */
import { CatgaError, describeError, isCatgaError } from "../../base/errors.ts";
import { JOIN_TIMEOUT_MS, silenceMsMax } from "../../base/limits.ts";
import type { Authority, AuthorityListener, Snapshot } from "../../ports/authority.ts";
import type { CasResult, Change, Entry } from "../../protocol/ledger.ts";
import type { Bucket, BucketState } from "./bucket.ts";
import {
  type Connection,
  type ConnectionListener,
  subscribe,
  watch,
  within,
} from "./connection.ts";
import { Feed } from "./feed.ts";

/** What an authority is made of. */
export interface AuthorityParts {
  readonly connection: Connection;
  readonly bucket: Bucket;
  /** How the subjects of the feed begin. */
  readonly feed: string;
  readonly leaseMs: number;
}

/** A lease has room for so many operations one after the other; at least 150 ms with `fast`. */
const OPERATIONS_PER_LEASE = 5;
/** What a change costs a slow broker, for each beside the first. */
const CHANGE_MS = 1;
const RETRY_MS = 50;
/** What the broker has stored it tells at once; not told by then, it never will be. */
const FEED_TIMEOUT_MS = 2_000;
const UNKNOWN = "the broker did not confirm the change";

/** See the file's header. */
export class NatsAuthority implements Authority, ConnectionListener {
  readonly #parts: AuthorityParts;
  readonly #feed: Feed;
  #listener: AuthorityListener | undefined;
  #unsubscribe: () => void = () => {};
  /** The newest revision of each record that was heard of. */
  readonly #known = new Map<string, number>();
  /** 0 until the first records have come. */
  #generation = 0;
  /** True from the records to the next interruption. */
  #isSynced = false;
  /** While records are fetched, changes complete them. */
  #fetched: Map<string, Entry> | undefined;
  /** Rises with each interruption: records fetched across one are fetched again. */
  #interruptions = 0;
  #isRecovering = false;
  readonly #underWay = new Set<(error: Error) => void>();

  constructor(parts: AuthorityParts) {
    this.#parts = parts;
    this.#feed = new Feed(parts.feed, parts.connection.clock, {
      changed: (entry) => this.#changed(entry),
      broken: () => this.#interrupted(),
    });
    watch(parts.connection, this);
  }

  open(listener: AuthorityListener): Promise<Snapshot> {
    const { connection, feed } = this.#parts;
    this.#listener = listener;
    this.#unsubscribe = subscribe(connection, `${feed}>`, (each) => this.#feed.receive(each));
    return this.#persist(async () => {
      await this.#quarantine();
      return this.#sync();
    }, JOIN_TIMEOUT_MS);
  }

  casMany(changes: readonly Change[]): Promise<CasResult[]> {
    if (!this.#isSynced) return Promise.reject(new Error(UNKNOWN));
    const timeoutMs = this.#parts.leaseMs / OPERATIONS_PER_LEASE + changes.length * CHANGE_MS;
    return this.#unlessInterrupted(this.#carryOut(changes, timeoutMs)).catch((error: Error) => {
      // Nobody takes changes for this bucket: it may be gone.
      if (error.name === "JetStreamNotEnabled") this.#interrupted();
      throw error;
    });
  }

  async close(): Promise<void> {
    this.#listener = undefined;
    this.down();
    this.#unsubscribe();
  }

  up(): void {
    this.#interrupted();
  }

  down(): void {
    this.#interruptions++;
    this.#isSynced = false;
    this.#feed.hold();
    for (const fail of this.#underWay) fail(new Error(UNKNOWN));
  }

  closed(): void {
    const listener = this.#listener;
    this.#listener = undefined;
    this.down();
    const { address } = this.#parts.connection;
    const reason = "the connection was closed";
    listener?.lost(new CatgaError("BROKER_UNREACHABLE", { address, reason }));
  }

  async #carryOut(changes: readonly Change[], timeoutMs: number): Promise<CasResult[]> {
    const { bucket, connection } = this.#parts;
    const interruptions = this.#interruptions;
    const remembered = changes.map(({ key }) => this.#known.get(key) ?? 0);
    const work = changes.map((change) => bucket.cas(change, this.#generation, timeoutMs));
    const results = await within(connection, 2 * timeoutMs, Promise.all(work));
    // Who is answered has heard of it, and of all before it; else the feed is not what it was.
    const heard = this.#feed.heard(
      Math.max(0, ...results.map((each) => (each.ok ? each.revision : 0))),
    );
    const isDeaf = await within(connection, timeoutMs, heard).then(
      () => false,
      () => true,
    );
    const isOlder = (result: CasResult, at: number): boolean => {
      return !result.ok && (result.current?.revision ?? 0) < remembered[at]!;
    };
    const isCurrent = interruptions === this.#interruptions;
    if (isCurrent && (isDeaf || results.some(isOlder))) this.#interrupted();
    return results;
  }

  #changed(entry: Entry): void {
    this.#known.set(entry.key, entry.revision);
    if (this.#fetched === undefined) return this.#listener?.changed([entry]);
    this.#fetched.set(entry.key, entry);
  }

  /** Waits until nobody acts under a bucket that was there before this one. */
  async #quarantine(): Promise<void> {
    const { bucket, leaseMs } = this.#parts;
    const generation = (await bucket.find("make"))?.generation ?? 0;
    if (await bucket.isOpened(generation)) return;
    await this.#pause(silenceMsMax(leaseMs));
    this.#throwIfClosed();
    if ((await bucket.find())?.generation === generation) await bucket.markOpened(generation);
    else throw new Error("the bucket was made anew meanwhile");
  }

  /** All records at one revision, and the feed from there on; or only that all is another. */
  async #sync(): Promise<Snapshot> {
    const { bucket } = this.#parts;
    const [before, interruptions] = [this.#generation, this.#interruptions];
    this.#feed.hold();
    const found = await bucket.find();
    this.#throwIfCut(interruptions);
    if (found === undefined) {
      // It is not made anew here: a server that is still deleting the old one would mix them up.
      const reason = "the broker has lost records that it had confirmed";
      throw new CatgaError("UNAVAILABLE", { reason });
    }
    const { generation, revision } = found;
    // Who belongs to one generation has no business in another: its node ends.
    if (before !== 0 && generation > before) return { generation, revision, entries: [] };
    const fetched = await this.#fetch(found);
    // A record is older than this node has heard of, or gone: somebody has forgotten.
    const isOlder = [...this.#known].some(([key, known]) => {
      return (fetched.get(key)?.revision ?? 0) < known;
    });
    if (isOlder) return { generation: await this.#beginAnother(), revision, entries: [] };
    for (const each of fetched.values()) this.#known.set(each.key, each.revision);
    this.#generation = generation;
    this.#isSynced = true;
    this.#isRecovering = false;
    return { generation, revision: this.#feed.revision, entries: [...fetched.values()] };
  }

  /** The records, from which the feed goes on. */
  async #fetch(found: BucketState): Promise<ReadonlyMap<string, Entry>> {
    const { generation, revision } = found;
    const { bucket, connection } = this.#parts;
    const interruptions = this.#interruptions;
    const walked = await bucket.records(found);
    // The feed is held by whoever fetches the records now.
    this.#throwIfCut(interruptions);
    const fetched = new Map(walked.map((entry) => [entry.key, entry]));
    this.#fetched = fetched;
    // A record that was overwritten during the walk is missing there, and in the feed.
    this.#feed.follow(generation, revision);
    const latest = walked.reduce((most, entry) => Math.max(most, entry.revision), revision);
    await within(connection, FEED_TIMEOUT_MS, this.#feed.heard(latest));
    this.#throwIfCut(interruptions);
    this.#fetched = undefined;
    return fetched;
  }

  async #beginAnother(): Promise<number> {
    const { bucket, connection } = this.#parts;
    const next = Math.max(this.#generation + 1, Math.floor(connection.clock.wallMs()));
    await bucket.begin(next);
    return next;
  }

  #throwIfCut(interruptions: number): void {
    if (interruptions !== this.#interruptions) throw new Error(UNKNOWN);
  }

  #interrupted(): void {
    this.down();
    if (this.#generation === 0 || this.#isRecovering) return;
    this.#isRecovering = true;
    this.#persist(() => this.#sync(), Number.POSITIVE_INFINITY).then(
      (snapshot) => this.#listener?.resynced(snapshot),
      (error: Error) => this.#listener?.lost(error),
    );
  }

  /** Tries until it succeeds, nobody listens any more, or there is no use in trying. */
  async #persist(work: () => Promise<Snapshot>, limitMs: number): Promise<Snapshot> {
    const { clock, address } = this.#parts.connection;
    const untilMs = clock.nowMs() + limitMs;
    for (;;) {
      try {
        return await this.#unlessInterrupted(work());
      } catch (error) {
        this.#throwIfClosed();
        // A broker that comes back without JetStream may have it later.
        const mayPass = this.#isRecovering && isCatgaError(error, "BROKER_LACKS");
        if (isCatgaError(error) && !mayPass) throw error;
        if (clock.nowMs() >= untilMs) {
          const reason = describeError(error).text;
          throw new CatgaError("BROKER_UNREACHABLE", { address, reason }, { cause: error });
        }
      }
      await this.#pause(RETRY_MS);
    }
  }

  #unlessInterrupted<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#underWay.add(reject);
      work.then(resolve, reject).finally(() => this.#underWay.delete(reject));
    });
  }

  #throwIfClosed(): void {
    if (this.#listener === undefined) throw new Error("Cannot join: the node was closed meanwhile");
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.#parts.connection.clock.after(delayMs, resolve));
  }
}
