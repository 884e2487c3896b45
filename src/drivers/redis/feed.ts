/**
 * What comes from the server without being asked for, over one pair of connections: the stream of
 * changes, and heartbeats, which are fetched from time to time. It ends when one of the two ends.
 */
import type { Clock } from "../../base/clock.ts";
import type { Entry } from "../../protocol/ledger.ts";
import type { Access } from "./access.ts";
import { Connection } from "./connection.ts";
import { BEATS, type Booted, parseBeats, parseLog } from "./scripts.ts";

/** What a feed is made of. */
export interface FeedParts {
  readonly access: Access;
  readonly clock: Clock;
  readonly keys: readonly [string, string, string];
  /** How long an answer may take. */
  readonly answerMs: number;
  /** How often heartbeats are fetched. */
  readonly beatMs: number;
}

/** Entries that are read at a time. */
const READ_COUNT = 1_000;
/** An idle stream answers after this, which shows that it is still there. */
const BLOCK_MS = 500;

/** See the file's header. */
export class Feed {
  /** For scripts. */
  readonly command: Connection;
  readonly #stream: Connection;
  readonly #parts: FeedParts;
  readonly #waiting: { readonly revision: number; readonly resolve: () => void }[] = [];
  /** Up to here the log was reported. */
  #position = 0;
  #report: (entries: readonly Entry[]) => void = () => {};
  #onEnd: (error: Error) => void = () => {};
  #ended: Error | undefined;
  #cancelBeat: () => void = () => {};

  private constructor(parts: FeedParts, command: Connection, stream: Connection) {
    this.#parts = parts;
    this.command = command;
    this.#stream = stream;
    for (const connection of [command, stream]) connection.onEnd((error) => this.end(error));
  }

  /**
   * Opens both connections.
   *
   * @throws {CatgaError} as {@link Connection.open} does.
   */
  static async open(parts: FeedParts): Promise<Feed> {
    const { access, clock, answerMs } = parts;
    const command = await Connection.open(access, clock, answerMs);
    try {
      return new Feed(parts, command, await Connection.open(access, clock, answerMs));
    } catch (error) {
      command.end(error as Error);
      throw error;
    }
  }

  /** Reports all changes after `booted`, in their order. */
  start(booted: Booted, report: (entries: readonly Entry[]) => void): void {
    this.#report = report;
    this.#position = booted.last;
    this.#read().catch((error: Error) => this.end(error));
    this.#fetchBeats(`${booted.generation}`, booted.revision);
  }

  /** Resolves when the log up to `revision` was reported. */
  reached(revision: number): Promise<void> {
    if (this.#position >= revision) return Promise.resolve();
    return new Promise((resolve) => void this.#waiting.push({ revision, resolve }));
  }

  /** `run` hears of the end, at once if it is over. */
  onEnd(run: (error: Error) => void): void {
    this.#onEnd = run;
    if (this.#ended !== undefined) run(this.#ended);
  }

  /** Ends both connections. Twice is fine. */
  end(error: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.#cancelBeat();
    this.command.end(error);
    this.#stream.end(error);
    this.#onEnd(error);
  }

  async #read(): Promise<void> {
    const [, log] = this.#parts.keys;
    while (this.#ended === undefined) {
      const from = ["STREAMS", log, `${this.#position}-0`];
      const args = ["BLOCK", BLOCK_MS, "COUNT", READ_COUNT, ...from];
      const items = parseLog(await this.#stream.call("XREAD", args, BLOCK_MS));
      if (this.#ended !== undefined) return;
      for (const { previous, entry } of items) {
        if (previous !== this.#position) throw new Error("the log lost what was not read yet");
        this.#position = entry.revision;
      }
      if (items.length > 0) this.#report(items.map(({ entry }) => entry));
      this.#tellWaiting();
    }
  }

  #tellWaiting(): void {
    while (this.#waiting.length > 0 && this.#waiting[0]!.revision <= this.#position) {
      this.#waiting.shift()!.resolve();
    }
  }

  /** Everybody's heartbeats in everybody's stream would be what the server does most. */
  #fetchBeats(generation: string, since: number): void {
    this.#cancelBeat = this.#parts.clock.after(this.#parts.beatMs, () => {
      this.command.call("EVAL", [BEATS, 3, ...this.#parts.keys, generation, since]).then(
        (reply) => {
          if (this.#ended !== undefined) return;
          const beats = parseBeats(reply);
          if (beats.length > 0) this.#report(beats);
          this.#fetchBeats(generation, beats.at(-1)?.revision ?? since);
        },
        (error: Error) => this.end(error),
      );
    });
  }
}
