/**
 * The authority in Redis: a hash of records that a script changes, and a stream of its changes.
 *
 * Whenever the connection ends, another one is opened, and everything is fetched again. What is
 * found then is the same authority only if no record is older than this node remembers; else it is
 * given another generation, in which nothing is known, and whose gate stays closed as long as
 * anybody may still act under the one before.
 */
import { AUTHORITY_TIMEOUT_MS, silenceMsMax } from "../../base/limits.ts";
import type { Authority, AuthorityListener, Snapshot } from "../../ports/authority.ts";
import type { CasResult, Change, Entry } from "../../protocol/ledger.ts";
import { refusalOf } from "./access.ts";
import { Connection, type Dialer } from "./connection.ts";
import * as scripts from "./scripts.ts";

/** What the authority of one node is made of. */
export interface AuthorityParts extends Dialer {
  readonly keys: scripts.Keys;
  readonly leaseMs: number;
  /** When this process first saw a gate closed, by its name: a node that joins anew goes on. */
  readonly gates: Map<string, number>;
}

/** Heartbeats are fetched so many times per lease: silence shall be found soon. */
const BEATS_PER_LEASE = 16;
/** Entries of the log that are read at a time. */
const READ_COUNT = 1_000;
/** An idle log answers after this, which shows that it is still there. */
const BLOCK_MS = 500;
/** Everything is a long answer: sessions that are over stay, and there may be thousands. */
const BOOT_MORE_MS = 2_000;
/** The server is not the one it was, or its rights are not: look again whom we talk to. */
const ANOTHER = /^(?:GENERATION|READONLY|NOPERM|WRONGTYPE)/;

/** See the file's header. */
export class RedisAuthority implements Authority {
  readonly #parts: AuthorityParts;
  /** The newest revision of each record that was reported. */
  readonly #known = new Map<string, number>();
  #generation = 0;
  #listener: AuthorityListener | undefined;
  #connection: Connection | undefined;
  /** Up to here the log was reported, and up to there heartbeats. */
  #position = 0;
  #beat = 0;
  /** The log is being read; resolves when something of it was reported. */
  #reading: Promise<void> = Promise.resolve();

  constructor(parts: AuthorityParts) {
    this.#parts = parts;
  }

  open(listener: AuthorityListener): Promise<Snapshot> {
    this.#listener = listener;
    return this.#attach();
  }

  async casMany(changes: readonly Change[]): Promise<CasResult[]> {
    const connection = this.#connection;
    if (connection === undefined) throw new Error("the authority was not opened");
    const { results, last } = await this.#change(connection, changes);
    // Who writes has heard of it when the answer comes.
    const heard = async (): Promise<void> => {
      while (this.#position < last && !connection.isEnded) await this.#reading;
    };
    await connection.within(heard());
    return results;
  }

  async close(): Promise<void> {
    this.#listener = undefined;
    this.#connection?.end(new Error("the node was closed"));
  }

  /** Opens a connection and fetches everything; the feed begins behind it. */
  async #attach(): Promise<Snapshot> {
    const { access, leaseMs } = this.#parts;
    const answerMs = Math.min(AUTHORITY_TIMEOUT_MS, leaseMs / 2);
    const connection = await Connection.open(this.#parts, answerMs);
    try {
      await connection.inspect(this.#parts, "authority");
      const found = await this.#boot(connection);
      const isOlder = this.#isOlder(found);
      const sound = isOlder ? await this.#boot(connection, found.generation) : found;
      const booted = await this.#pass(connection, sound);
      if (this.#listener === undefined) throw new Error("the node was closed meanwhile");
      this.#generation = booted.generation;
      this.#position = booted.last;
      this.#beat = booted.revision;
      this.#known.clear();
      for (const { key, revision } of booted.entries) this.#known.set(key, revision);
      this.#connection = connection;
      this.#read(connection).catch((error: Error) => connection.end(error));
      this.#fetchBeats(connection);
      // Who waits keeps what it has in memory, and may not act (L4).
      const again = async (): Promise<void> => this.#listener?.resynced(await this.#attach());
      connection.follow(this.#parts, () => this.#listener !== undefined, again);
      return booted;
    } catch (error) {
      connection.end(error as Error);
      throw refusalOf(error, access.address);
    }
  }

  /** Everything as it stands; in another generation, if it stands as in `broken`. */
  async #boot(connection: Connection, broken = -1, gate = ""): Promise<scripts.Booted> {
    const { clock, random } = this.#parts;
    const args = [broken, this.#generation, Math.floor(clock.wallMs()), random.text(16), gate];
    return scripts.parseBooted(await this.#run(connection, scripts.BOOT, args));
  }

  /** True when this node remembers more; only while nothing is reported to it. */
  #isOlder({ generation, entries }: scripts.Booted): boolean {
    if (generation !== this.#generation) return false;
    const found = new Map(entries.map(({ key, revision }) => [key, revision]));
    return [...this.#known].some(([key, known]) => (found.get(key) ?? 0) < known);
  }

  /**
   * Opens the gate, if it is closed, when nobody can act any more who does not know of what
   * happened to the records. Who comes anew waits for it; who was a member all the time does not.
   */
  async #pass(connection: Connection, booted: scripts.Booted): Promise<scripts.Booted> {
    const { gate } = booted;
    if (gate === undefined) return booted;
    const { clock, gates, leaseMs } = this.#parts;
    const seenMs = gates.get(gate) ?? clock.nowMs();
    gates.set(gate, seenMs);
    const endMs = seenMs + silenceMsMax(leaseMs);
    const open = async (): Promise<scripts.Booted> => {
      await new Promise<void>((done) => void clock.after(Math.max(0, endMs - clock.nowMs()), done));
      const opened = await this.#boot(connection, -1, gate);
      gates.delete(gate);
      return opened;
    };
    const opened = open();
    if (this.#generation === 0) return opened;
    // Should it fail, whoever joins next waits instead.
    opened.catch(() => {});
    return booted;
  }

  /** Changes something, or nothing: heartbeats of others come with the answer. */
  async #change(connection: Connection, changes: readonly Change[]): Promise<scripts.Changed> {
    const args = [this.#generation, this.#beat, ...changes.flatMap(scripts.argumentsOf)];
    const reply = await this.#run(connection, scripts.CHANGE, args);
    if (connection.isEnded) throw new Error("the connection ended before the feed came");
    const changed = scripts.parseChanged(reply, changes);
    this.#beat = Math.max(this.#beat, ...changed.beats.map(({ revision }) => revision));
    this.#report(changed.beats);
    return changed;
  }

  /** Everybody's heartbeats in everybody's log would be what the server does most. */
  #fetchBeats(connection: Connection): void {
    this.#parts.clock.after(this.#parts.leaseMs / BEATS_PER_LEASE, () => {
      this.#change(connection, []).then(
        () => this.#fetchBeats(connection),
        (error: Error) => connection.end(error),
      );
    });
  }

  async #read(connection: Connection): Promise<void> {
    while (!connection.isEnded) {
      this.#reading = this.#readOn(connection);
      await this.#reading;
    }
  }

  async #readOn(connection: Connection): Promise<void> {
    const from = ["COUNT", READ_COUNT, "STREAMS", this.#parts.keys[1], `${this.#position}-0`];
    const asked = connection.listening.call("XREAD", "BLOCK", BLOCK_MS, ...from);
    const items = scripts.parseLog(await connection.within(asked, BLOCK_MS));
    if (connection.isEnded) return;
    for (const { previous, entry } of items) {
      if (previous !== this.#position) throw new Error("the log lost what was not read yet");
      this.#position = entry.revision;
    }
    this.#report(items.map(({ entry }) => entry));
  }

  async #run(
    connection: Connection,
    script: string,
    args: readonly (string | number)[],
  ): Promise<unknown> {
    const { keys, log } = this.#parts;
    try {
      const work = connection.commanding.call("EVAL", script, keys.length, ...keys, ...args);
      return await connection.within(work, script === scripts.BOOT ? BOOT_MORE_MS : 0);
    } catch (error) {
      const { name, message } = error as Error;
      if (ANOTHER.test(message)) connection.end(error as Error);
      else if (name === "ReplyError") log.warn({ err: error }, "Redis refused a script");
      throw error;
    }
  }

  /** Heartbeats come late and by several ways: what is older than what was reported is no news. */
  #report(entries: readonly Entry[]): void {
    const news = entries.filter(({ key, revision }) => revision > (this.#known.get(key) ?? 0));
    for (const { key, revision } of news) this.#known.set(key, revision);
    if (news.length > 0) this.#listener?.changed(news);
  }
}
