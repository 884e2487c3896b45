/**
 * The authority in Redis: one hash of records that scripts change, and a stream of what they changed.
 *
 * A node has two connections to it, one for scripts and one that waits at the stream. They live and
 * die together: when one of them ends, both are opened anew, and everything is fetched again. What is
 * found then is the same authority only if no record is older than this node remembers; else it is
 * given another generation, in which nothing is known, and whose gate stays closed as long as
 * anybody may still act under the one before.
 */
import type { Clock } from "../../base/clock.ts";
import {
  AUTHORITY_TIMEOUT_MS,
  CLOCK_DRIFT_MAX,
  JOIN_TIMEOUT_MS,
  LEASE_GUARD_MS,
} from "../../base/limits.ts";
import type { Logger } from "../../base/logger.ts";
import type { Random } from "../../base/random.ts";
import type { Authority, AuthorityListener, Snapshot } from "../../ports/authority.ts";
import type { CasResult, Change, Entry } from "../../protocol/ledger.ts";
import { type Access, refusalOf } from "./access.ts";
import type { Connection } from "./connection.ts";
import { Feed } from "./feed.ts";
import * as scripts from "./scripts.ts";

/** What the authority of one node is made of. */
export interface AuthorityParts {
  readonly access: Access;
  readonly keys: readonly [string, string, string];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly leaseMs: number;
  /** When this process first saw a gate closed, by its name: a node that joins anew goes on. */
  readonly gates: Map<string, number>;
  /** Looks at a server before it is used. */
  readonly inspect: (command: Connection) => Promise<void>;
}

/** Changes that go to the server in one script: others may want it too. */
const BATCH = 1_000;
/** First wait before a connection is opened anew; a random part comes on top. */
const REOPEN_MS = 20;
/** See {@link REOPEN_MS}. */
const REOPEN_MS_MAX = 500;

/** See the file's header. */
export class RedisAuthority implements Authority {
  readonly #parts: AuthorityParts;
  /** The newest revision of each record that was reported. */
  readonly #known = new Map<string, number>();
  #generation = 0;
  #listener: AuthorityListener | undefined;
  #feed: Feed | undefined;

  constructor(parts: AuthorityParts) {
    this.#parts = parts;
  }

  async open(listener: AuthorityListener): Promise<Snapshot> {
    this.#listener = listener;
    const { clock, access } = this.#parts;
    const endMs = clock.nowMs() + JOIN_TIMEOUT_MS;
    for (;;) {
      try {
        return await this.#attach({ isNew: true });
      } catch (error) {
        // A server that starts reads its data first. Who waits for the gate is not in a hurry.
        const isLoading = error instanceof Error && error.message.startsWith("LOADING");
        if (!isLoading || clock.nowMs() >= endMs) throw refusalOf(error, access.address);
      }
      await this.#pause(REOPEN_MS_MAX);
    }
  }

  async casMany(changes: readonly Change[]): Promise<CasResult[]> {
    const feed = this.#feed;
    if (feed === undefined) throw new Error("there is no connection to the server");
    const results: CasResult[] = [];
    for (let from = 0; from < changes.length; from += BATCH) {
      const batch = changes.slice(from, from + BATCH);
      const outcome = scripts.parseOutcome(
        await this.#run(feed, scripts.CAS, batch.flatMap(scripts.argumentsOf)),
        batch,
      );
      if (this.#feed !== feed) throw new Error("the connection ended before the feed came");
      this.#report(outcome.beats);
      // Who writes has heard of it when the answer comes.
      await feed.command.within(feed.reached(outcome.last));
      results.push(...outcome.results);
    }
    return results;
  }

  async close(): Promise<void> {
    this.#listener = undefined;
    this.#feed?.end(new Error("the node was closed"));
    this.#feed = undefined;
  }

  /** Opens both connections and fetches everything; the feed begins behind it. */
  async #attach({ isNew }: { readonly isNew: boolean }): Promise<Snapshot> {
    const { access, clock, keys, leaseMs, inspect } = this.#parts;
    const answerMs = Math.min(AUTHORITY_TIMEOUT_MS, leaseMs / 2);
    const feed = await Feed.open({ access, clock, answerMs, keys, beatMs: leaseMs / 16 });
    try {
      await inspect(feed.command);
      let booted = await this.#boot(feed.command);
      if (booted.gate !== "") {
        const opened = this.#openGate(feed.command, booted);
        if (isNew) {
          await opened;
          booted = await this.#boot(feed.command);
        } else {
          // Should it fail, whoever joins next waits instead.
          opened.catch(() => {});
        }
      }
      if (this.#listener === undefined) throw new Error("the node was closed meanwhile");
      this.#start(feed, booted);
      const { generation, revision, entries } = booted;
      return { generation, revision, entries };
    } catch (error) {
      feed.end(error as Error);
      throw error;
    }
  }

  /** Everything as it stands; another generation, if that is older than what this node knows. */
  async #boot(command: Connection): Promise<scripts.Booted> {
    const { clock, random, keys } = this.#parts;
    const fetch = async (broken: number): Promise<scripts.Booted> => {
      const wanted = [`${broken || ""}`, `${this.#generation}`, clock.wallMs().toFixed(0)];
      const args = [scripts.BOOT, 3, ...keys, ...wanted, random.text(16)];
      return scripts.parseBooted(await command.call("EVAL", args));
    };
    const booted = await fetch(0);
    if (booted.generation !== this.#generation) return booted;
    const found = new Map(booted.entries.map(({ key, revision }) => [key, revision]));
    const isOlder = [...this.#known].some(([key, known]) => (found.get(key) ?? 0) < known);
    return isOlder ? fetch(booted.generation) : booted;
  }

  #start(feed: Feed, booted: scripts.Booted): void {
    this.#feed = feed;
    this.#generation = booted.generation;
    this.#known.clear();
    for (const { key, revision } of booted.entries) this.#known.set(key, revision);
    feed.start(booted, (entries) => this.#report(entries));
    feed.onEnd((error) => {
      if (this.#feed !== feed) return;
      this.#feed = undefined;
      this.#parts.log.warn({ error }, "the connection to Redis ended, it is opened anew");
      this.#returnTo().catch((failure: Error) => this.#listener?.lost(failure));
    });
  }

  /** Heartbeats come by more than one way; what was reported is not reported again. */
  #report(entries: readonly Entry[]): void {
    const news = entries.filter(({ key, revision }) => revision > (this.#known.get(key) ?? 0));
    for (const { key, revision } of news) this.#known.set(key, revision);
    if (news.length > 0) this.#listener?.changed(news);
  }

  /** Tries until it succeeds: who waits keeps what it has in memory, and may not act (L4). */
  async #returnTo(): Promise<void> {
    const { clock, log, access } = this.#parts;
    let warnMs = clock.nowMs() + JOIN_TIMEOUT_MS;
    for (let tries = 0; this.#listener !== undefined; tries++) {
      try {
        const snapshot = await this.#attach({ isNew: false });
        this.#listener?.resynced(snapshot);
        return;
      } catch (error) {
        if (clock.nowMs() >= warnMs) {
          log.error({ error: refusalOf(error, access.address) }, "Redis is still away");
          warnMs += JOIN_TIMEOUT_MS;
        }
      }
      await this.#pause(Math.min(REOPEN_MS_MAX, REOPEN_MS * 2 ** tries));
    }
  }

  /** Resolves when nobody can act any more who does not know of what happened to the records. */
  async #openGate(command: Connection, { gate, generation }: scripts.Booted): Promise<void> {
    const { clock, gates, keys, leaseMs } = this.#parts;
    const seenMs = gates.get(gate) ?? clock.nowMs();
    gates.set(gate, seenMs);
    const endMs = seenMs + leaseMs * (1 + 2 * CLOCK_DRIFT_MAX) + LEASE_GUARD_MS;
    await new Promise<void>((done) => void clock.after(Math.max(0, endMs - clock.nowMs()), done));
    await command.call("EVAL", [scripts.OPEN_GATE, 3, ...keys, `${generation}`, gate]);
    gates.delete(gate);
  }

  /** Runs a script under this node's generation. */
  async #run(feed: Feed, script: string, args: readonly string[]): Promise<unknown> {
    try {
      const head = [script, 3, ...this.#parts.keys, `${this.#generation}`];
      return await feed.command.call("EVAL", [...head, ...args]);
    } catch (error) {
      const reason = error instanceof Error ? error.message : "";
      // Another generation, or another role of the server: look again whom we talk to.
      if (/^(?:GENERATION|READONLY|NOPERM|WRONGTYPE)/.test(reason)) feed.end(error as Error);
      else this.#parts.log.warn({ error }, "Redis refused a script");
      throw error;
    }
  }

  #pause(limitMs: number): Promise<void> {
    const { clock, random } = this.#parts;
    const delayMs = limitMs * (0.5 + random.fraction() / 2);
    return new Promise((resolve) => void clock.after(delayMs, resolve));
  }
}
