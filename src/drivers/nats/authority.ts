/**
 * The authority on a bucket of the broker. A record's revision is the number of its message in the
 * stream, so revisions order all changes.
 *
 * - **Compare-and-set** is a publication that the broker takes only after the expected revision. It
 *   carries the operation's id: asked again, the broker recognises it, or the record shows it.
 * - **Feed**: `feed.ts`. After a gap or a reconnect the records are fetched as they stand.
 * - **Generation**: when the bucket was made, or was found to have lost something. Nodes act under
 *   leases of one generation; the next one is another authority. Whoever finds it first waits as
 *   long as a lease may run under one before, for nobody can tell a bucket that was wiped from the
 *   first there ever was; then it leaves a mark, so that nobody else has to wait.
 */
import type { Msg, Subscription } from "@nats-io/transport-node";
import { CatgaError, describeError, isCatgaError } from "../../base/errors.ts";
import { JOIN_TIMEOUT_MS, silenceMsMax } from "../../base/limits.ts";
import type { Authority, AuthorityListener, Snapshot } from "../../ports/authority.ts";
import type { CasResult, Change, Entry } from "../../protocol/ledger.ts";
import type { Bucket } from "./bucket.ts";
import type { Connection, ConnectionListener } from "./connection.ts";
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
const NOTHING = { generation: 0, revision: 0 };
const UNKNOWN = "the broker did not confirm the change";

/** See the file's header. */
export class NatsAuthority implements Authority, ConnectionListener {
  readonly #parts: AuthorityParts;
  readonly #feed: Feed;
  #listener: AuthorityListener | undefined;
  #subscription: Subscription | undefined;
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
    parts.connection.listen(this);
  }

  open(listener: AuthorityListener): Promise<Snapshot> {
    const { connection, feed } = this.#parts;
    this.#listener = listener;
    const callback = (error: Error | null, message: Msg): void => {
      if (error === null) this.#feed.receive(message);
    };
    this.#subscription = connection.client.subscribe(`${feed}>`, { callback });
    return this.#persist(async () => {
      await this.#quarantine();
      return this.#sync();
    }, JOIN_TIMEOUT_MS);
  }

  casMany(changes: readonly Change[]): Promise<CasResult[]> {
    if (!this.#isSynced) return Promise.reject(new Error(UNKNOWN));
    const { leaseMs, connection } = this.#parts;
    const timeoutMs = leaseMs / OPERATIONS_PER_LEASE + changes.length * CHANGE_MS;
    // An answer that its change does not follow in the feed: the feed is not what it was.
    const late = (): void => this.#interrupted();
    const work = connection.within(2 * timeoutMs, this.#carryOut(changes, timeoutMs), late);
    return this.#unlessInterrupted(work).catch((error: Error) => {
      // Nobody takes changes for this bucket: it may be gone.
      if (error.name === "JetStreamNotEnabled") this.#interrupted();
      throw error;
    });
  }

  async close(): Promise<void> {
    this.#listener = undefined;
    this.down();
    const { connection } = this.#parts;
    if (!connection.client.isClosed()) this.#subscription?.unsubscribe();
    await connection.release(this);
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
    const { bucket } = this.#parts;
    const results = await Promise.all(
      changes.map((change) => bucket.cas(change, this.#generation, timeoutMs)),
    );
    // Who is answered has heard of it, and of all before it.
    const revisions = results.map((result) => (result.ok ? result.revision : 0));
    await this.#feed.heard(Math.max(0, ...revisions));
    return results;
  }

  #changed(entry: Entry): void {
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

  /** All records at one revision, and the feed from there on. */
  async #sync(): Promise<Snapshot> {
    const { bucket, connection } = this.#parts;
    const interruptions = this.#interruptions;
    const before = this.#generation;
    this.#feed.hold();
    const found = (await bucket.find()) ?? NOTHING;
    const { generation, revision: least } = found;
    // It is not made anew here: a server that is still deleting the old one would mix them up.
    if (generation === 0) {
      const reason = "the broker has lost records that it had confirmed";
      throw new CatgaError("UNAVAILABLE", { reason });
    }
    if (generation < before || (generation === before && least < this.#feed.revision)) {
      // What was lost may be an ownership: under this generation epochs and fences would fall.
      await bucket.beginAnew(found, Math.max(before + 1, Math.floor(connection.clock.wallMs())));
      throw new Error("the broker has gone back to older records");
    }
    // Who belongs to one bucket has no business in another: its node ends.
    if (before !== 0 && generation !== before) return { generation, revision: least, entries: [] };
    const walked = await bucket.records(generation);
    // The feed is held by whoever fetches the records now.
    if (interruptions !== this.#interruptions) throw new Error(UNKNOWN);
    const fetched = new Map(walked.map((entry) => [entry.key, entry]));
    this.#fetched = fetched;
    // A record that was overwritten during the walk is missing there, and in the feed.
    this.#feed.follow(generation, least);
    const latest = walked.reduce((most, { revision }) => Math.max(most, revision), least);
    await connection.within(FEED_TIMEOUT_MS, this.#feed.heard(latest));
    if (interruptions !== this.#interruptions) throw new Error(UNKNOWN);
    this.#fetched = undefined;
    this.#generation = generation;
    this.#isSynced = true;
    this.#isRecovering = false;
    return { generation, revision: this.#feed.revision, entries: [...fetched.values()] };
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
