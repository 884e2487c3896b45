/**
 * Which entities get far more messages than others, here and on other nodes.
 *
 * A node counts messages that come for its entities: all of them, or of many one in so many that
 * what is counted between two heartbeats stays the same, at distances that vary, so that no rhythm
 * of the messages falls in with it. Of a share p that n counted messages stand
 * behind, the standard error is √(p(1-p)/n). With each heartbeat it looks which keys are hot, and
 * its session tells of those that it owns. A key that is hot needs half of that to stay so: whoever
 * is at the border is not told of again and again.
 */
import {
  HOT_COUNTERS,
  HOT_KEYS_MAX,
  HOT_RATE_MIN,
  HOT_SAMPLES,
  HOT_SHARE_MIN,
  HOT_SHOWN_MAX,
  HOT_WINDOW_MS,
} from "../base/limits.ts";
import { TopKeys } from "../base/top-keys.ts";
import type { View } from "../ownership/view.ts";
import { tableKey } from "../protocol/ids.ts";
import type { HotRow } from "../protocol/records.ts";
import type { Events } from "./events.ts";

/** An entity, or a key by which messages are routed, that gets far more messages than others. */
export interface HotKey {
  /** Of the entity type, or of the message whose key it is. */
  readonly name: string;
  readonly id: string;
  /** Who owns it. */
  readonly node: string;
  /** Its part of the messages for entities of that node, from 0 to 1. */
  readonly share: number;
  readonly perSecond: number;
}

/** One of a node's own hot keys. */
export interface OwnHotKey extends Omit<HotKey, "node"> {
  /** The share is at most so much too high, and not too low. */
  readonly error: number;
}

const NONE: readonly HotRow[] = [];
/** A window that has just begun tells little. */
const SECONDS_MIN = 1;

/** See the file's header. */
export class HotKeys {
  readonly #view: View;
  readonly #events: Events;
  readonly #sketch = new TopKeys(HOT_COUNTERS);
  /** One in so many messages is counted. */
  #every = 1;
  /** So many messages until the next one that is. */
  #left = 1;
  #noise = 1;
  /** What was counted since the last look. */
  #samples = 0;
  #messages = 0;
  #lookedMs: number | undefined;
  /** For how long was counted, faded like the counts. */
  #seconds = 0;
  #here = new Set<string>();
  /** The hottest of this node's own keys, as of the last look. */
  own: readonly OwnHotKey[] = [];
  /** What each session tells, if anything. */
  readonly #told = new Map<string, readonly HotRow[]>();
  #everywhere = new Set<string>();

  constructor(view: View, events: Events) {
    this.#view = view;
    this.#events = events;
  }

  /** A message for an entity has come, or was answered for it. */
  count(entity: string, id: string): void {
    if (--this.#left === 0) this.#count(tableKey(entity, id));
  }

  /** True for an entity that its owner calls hot, or that is for this node. */
  isHot(entity: string, id: string): boolean {
    if (this.#here.size === 0 && this.#everywhere.size === 0) return false;
    const key = tableKey(entity, id);
    return this.#here.has(key) || this.#everywhere.has(key);
  }

  /** Looks which keys are hot now, called with each heartbeat: those that others shall know of. */
  look(nowMs: number, isOwned: (entity: string, id: string) => boolean): readonly HotRow[] {
    const elapsedMs = nowMs - (this.#lookedMs ?? nowMs);
    this.#lookedMs = nowMs;
    this.#seconds += elapsedMs / 1_000;
    const rows: HotRow[] = [];
    const here = new Set<string>();
    const own: OwnHotKey[] = [];
    const { total } = this.#sketch;
    for (const { key, count, error } of this.#sketch.top((total * HOT_SHARE_MIN) / 2)) {
      const share = count / total;
      const perSecond = count / Math.max(SECONDS_MIN, this.#seconds);
      const ease = this.#here.has(key) ? 0.5 : 1;
      if (share < HOT_SHARE_MIN * ease || perSecond < HOT_RATE_MIN * ease) continue;
      here.add(key);
      const at = key.indexOf("/");
      const [entity, id] = [key.slice(0, at), key.slice(at + 1)];
      if (own.length === HOT_SHOWN_MAX || !isOwned(entity, id)) continue;
      own.push({ name: shown(entity), id, share, perSecond, error: error / total });
      if (rows.length === HOT_KEYS_MAX) continue;
      rows.push([entity, id, Math.round(share * 1_000) / 1_000, Math.round(perSecond)]);
    }
    this.#here = here;
    this.own = own;
    this.#every = Math.max(1, Math.floor(this.#messages / HOT_SAMPLES));
    this.#samples = this.#messages = 0;
    const faded = Math.exp(-elapsedMs / HOT_WINDOW_MS);
    this.#sketch.fade(faded);
    this.#seconds *= faded;
    return rows;
  }

  /**
   * The record of a session came in: tells of the keys that nobody had called hot, unless this node
   * only learns what there is.
   */
  heard(incarnation: string, isNews: boolean): void {
    const rows = this.#view.living.get(incarnation)?.record.load.hot ?? NONE;
    if (rows.length === 0 && !this.#told.has(incarnation)) return;
    if (rows.length === 0) this.#told.delete(incarnation);
    else this.#told.set(incarnation, rows);
    const before = this.#everywhere;
    const all = [...this.#told.values()].flat();
    this.#everywhere = new Set(all.map(([entity, id]) => tableKey(entity, id)));
    for (const [entity, id, share] of isNews ? rows : NONE) {
      if (before.has(tableKey(entity, id))) continue;
      this.#events.emit("hot-key", { name: shown(entity), id, share });
    }
  }

  /** The hot keys of all nodes, the most frequent first. */
  get all(): HotKey[] {
    const keys = [...this.#view.living.values()].flatMap(({ record: { node, load } }) =>
      (load.hot ?? NONE).map(([entity, id, share, perSecond]) => {
        return { name: shown(entity), id, node, share, perSecond };
      }),
    );
    return keys.sort((a, b) => b.perSecond - a.perSecond);
  }

  #count(key: string): void {
    this.#sketch.add(key, this.#every);
    this.#messages += this.#every;
    // More come than before: what they cost must not rise with them until the next look.
    if (++this.#samples % HOT_SAMPLES === 0) this.#every *= 2;
    // Xorshift (Marsaglia, "Xorshift RNGs", 2003): the same distances in every run.
    this.#noise ^= this.#noise << 13;
    this.#noise ^= this.#noise >>> 17;
    this.#noise ^= this.#noise << 5;
    this.#left = 1 + ((this.#noise >>> 0) % (2 * this.#every - 1));
  }
}

/** Keys of messages stand among entities under the name of the message behind an `@`. */
function shown(entity: string): string {
  return entity.replace(/^@/, "");
}
