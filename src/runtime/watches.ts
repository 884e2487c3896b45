/**
 * Who of this process watches which entity: nodes may follow each other on its seat. The owner of a
 * watched entity (`watched.ts`) is told once for all who watch it here, and told again when the
 * shard's record names another one, or something is missing; every few seconds it is told that this
 * still holds.
 *
 * Each watch knows the number of the last push that it was given. Only the next one follows; where
 * there is another one, or another era, what is missing is asked for, and what comes until the
 * answer is left out, for it will come again. The answer says whether anything is lost.
 */
import { CatgaError } from "../base/errors.ts";
import { SEAL_RETRY_MS, WATCH_RENEW_MS, WATCHES_MAX } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import { freezePlain } from "../base/plain.ts";
import { checkEntityId, tableKey } from "../protocol/ids.ts";
import type { EntityNote, PushedNote, Watched, WatchedNote } from "../protocol/note.ts";
import { Listener, type Listening } from "./listener.ts";
import type { Slices } from "./slices.ts";

/** What an entity has pushed; all who watch are given the same, which cannot be changed. */
export interface PushedMessage {
  readonly type: string;
  readonly [field: string]: unknown;
}

/**
 * What a watch is given: what its entity has pushed, or a mark. The mark is the first of all, so
 * everything is heard from there on; and it comes, with `missed`, wherever something between it and
 * what came before may have been missed. `id` is where another watch may go on: `after` it.
 */
export type WatchEvent =
  | { readonly id: string; readonly message: PushedMessage; readonly missed?: never }
  | { readonly id: string; readonly missed: boolean; readonly message?: never };

/** The node that sits here. */
export interface WatchPost {
  readonly slices: Slices;
  /** Who owns an entity and lives, as far as this node knows, if it is a member itself. */
  ownerOf(subject: Watched): string | undefined;
  /** Calls `run` in a moment, or later. */
  after(delayMs: number, run: () => void): void;
  hasRoom(to: string): boolean;
  tell(to: string, note: EntityNote): void;
}

interface Position {
  readonly era: string;
  readonly number: number;
}

/** An entity that is watched here. */
interface Watching {
  readonly subject: Watched;
  readonly watches: Set<Watch>;
  /** Who was asked last, and by which call; nobody, when somebody is to be asked. */
  told: string | undefined;
  call: number;
}

const ID = /^(\d{16}\.\d{16})\.(\d{1,15})$/;

/** See the file's header. */
export class Watches {
  readonly #log: Logger;
  readonly #all = new Map<string, Watching>();
  #post: WatchPost | undefined;
  #count = 0;
  #calls = 0;
  #isLooking = false;
  #isTicking = false;
  #isRetrying = false;

  constructor(log: Logger) {
    this.#log = log;
  }

  /**
   * Calls `run` with each {@link WatchEvent} of an entity; the result ends that.
   *
   * @throws {CatgaError} INVALID_ID, OVERLOADED
   */
  add({ entity, id }: Watched, run: Listening, after?: string): () => void {
    checkEntityId(id);
    if (this.#count === WATCHES_MAX) {
      throw new CatgaError("OVERLOADED", { what: "watches of this node", limit: WATCHES_MAX });
    }
    const key = tableKey(entity, id);
    const none = { watches: new Set<Watch>(), told: undefined, call: 0 };
    const watching = this.#all.get(key) ?? { subject: { entity, id }, ...none };
    this.#all.set(key, watching);
    const around = { what: "what an entity pushes", type: key, log: this.#log };
    const listener: Listener = new Listener(run, {
      ...around,
      missed: (last) => ({ id: (last as WatchEvent).id, missed: true }),
      ready: () => this.#post!.slices.later(ready),
    });
    const ready = { resume: (): void => this.#runReady(listener, ready) };
    const watch = new Watch(listener, after);
    watching.watches.add(watch);
    this.#count++;
    this.#ask(watching);
    return () => {
      if (!watching.watches.delete(watch)) return;
      listener.clear();
      this.#count--;
      if (watching.watches.size > 0) return;
      this.#all.delete(key);
      const { told } = watching;
      if (told !== undefined) this.#post!.tell(told, { kind: "unwatch", ...watching.subject });
    };
  }

  /** Another node sits here. */
  seat(post: WatchPost): void {
    this.#post = post;
    this.#isLooking = this.#isTicking = this.#isRetrying = false;
    for (const watching of this.#all.values()) {
      watching.told = undefined;
      for (const { listener } of watching.watches) listener.resume();
    }
  }

  /** Owners may be others now: they are asked, those of one burst at once. */
  look(): void {
    if (this.#isLooking || this.#all.size === 0) return;
    this.#isLooking = true;
    const post = this.#post!;
    post.after(0, () => {
      this.#isLooking = false;
      for (const watching of this.#all.values()) {
        const owner = post.ownerOf(watching.subject);
        if (owner === undefined || owner === watching.told) continue;
        watching.told = owner;
        watching.call = ++this.#calls;
        const { era, number: after } = firstOf(watching.watches);
        post.tell(owner, { kind: "watch", ...watching.subject, call: watching.call, era, after });
      }
      if (!this.#isTicking) this.#tick(post);
    });
  }

  /** An owner has answered; without an era it knows nothing of us, and somebody is to be asked. */
  answered(from: string, note: WatchedNote): void {
    const watching = this.#all.get(tableKey(note.entity, note.id));
    if (watching === undefined || watching.told !== from) return;
    if (note.era === "") {
      watching.told = undefined;
      if (!this.#isRetrying) this.#post!.after(SEAL_RETRY_MS, () => this.#retry());
      this.#isRetrying = true;
    } else if (note.call === watching.call) {
      for (const watch of watching.watches) watch.begin(note);
    }
  }

  /** An entity has pushed; `false` when nobody watches it here. */
  pushed({ entity, id, era, number, message }: PushedNote): boolean {
    const watching = this.#all.get(tableKey(entity, id));
    if (watching === undefined) return false;
    const event = Object.freeze({ id: `${era}.${number}`, message: freezePlain(message) });
    let isWhole = true;
    for (const watch of watching.watches) isWhole = watch.hear({ era, number }, event) && isWhole;
    if (!isWhole) this.#ask(watching);
    return true;
  }

  #ask(watching: Watching): void {
    watching.told = undefined;
    this.look();
  }

  #retry(): void {
    this.#isRetrying = false;
    this.look();
  }

  #tick(post: WatchPost): void {
    this.#isTicking = this.#all.size > 0;
    if (!this.#isTicking) return;
    for (const { told, subject } of this.#all.values()) {
      if (told !== undefined && post.hasRoom(told))
        post.tell(told, { kind: "watching", ...subject });
    }
    post.after(WATCH_RENEW_MS, () => this.#tick(post));
  }

  #runReady(listener: Listener, ready: { resume(): void }): void {
    const { slices } = this.#post!;
    while (listener.isReady) {
      if (!slices.enter()) return slices.later(ready);
      listener.next();
      slices.leave();
    }
  }
}

/** One who watches. */
class Watch {
  readonly listener: Listener;
  /** What it was given last; nothing for one that begins now. */
  at: Position | undefined;
  #hasBegun = false;
  /** True from the answer on, until something is missing. */
  #isLive = false;

  constructor(listener: Listener, after: string | undefined) {
    this.listener = listener;
    if (after === undefined) return;
    // What is no id of ours is one that is not known any more.
    const [, era = "", number = 0] = ID.exec(after) ?? [];
    this.at = { era, number: Number(number) };
  }

  /** The owner tells from which number on it tells everything. */
  begin({ era, after, last }: WatchedNote): void {
    const { at = { era, number: last } } = this;
    const isWhole = at.era === era && at.number >= after && at.number <= last;
    this.at = isWhole ? at : { era, number: after };
    this.#isLive = true;
    if (this.#hasBegun && isWhole) return;
    this.#hasBegun = true;
    this.listener.post({ id: `${era}.${this.at.number}`, missed: !isWhole });
  }

  /** False when something before it is missing. */
  hear(next: Position, event: object): boolean {
    const { at } = this;
    if (!this.#isLive || at === undefined || !isBefore(at, next)) return true;
    this.#isLive = at.era === next.era && at.number + 1 === next.number;
    if (!this.#isLive) return false;
    this.at = next;
    this.listener.post(event);
    return true;
  }
}

/** Where the one of them is who was given least; of no era when none was given anything. */
function firstOf(watches: ReadonlySet<Watch>): Position {
  let first: Position = { era: "", number: 0 };
  for (const { at } of watches) {
    if (at !== undefined && at.era !== "" && (first.era === "" || isBefore(at, first))) first = at;
  }
  return first;
}

function isBefore(one: Position, other: Position): boolean {
  return one.era < other.era || (one.era === other.era && one.number < other.number);
}
