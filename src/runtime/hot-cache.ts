/**
 * Answers to queries of hot entities, kept for a moment on the node that asks.
 *
 * An answer may be given again to whoever asks within the age after its query was sent: since a
 * handler runs later than that, nobody is given what is older. A command that leaves from this node
 * drops what is known of its entity. Queries that come while one is under way wait for its answer;
 * that one is nobody's own, so each who waits keeps its own deadline and signal.
 */
import { canonical } from "../base/canonical.ts";
import { CALL_TIMEOUT_MS, HOT_CACHE_CHARS_MAX, HOT_CACHE_ENTRIES_MAX } from "../base/limits.ts";
import { charsMaxOfLastCopy, copyPlain } from "../base/plain.ts";
import { copyPayload, type Sending } from "./call.ts";
import type { EntityDefinition } from "./definition.ts";
import type { NodeContext } from "./node-context.ts";
import { share } from "./sharing.ts";

interface Entry {
  readonly id: string;
  readonly text: string;
  /** Given to nobody who asks later. */
  readonly untilMs: number;
  /** Until its answer has come: when it ends at the latest. */
  deadlineMs: number;
  readonly answer: Promise<unknown>;
  chars: number;
}

/** Sends a query to its entity. */
type Send = (sending: Sending) => Promise<unknown>;

/** See the file's header. One for each entity type with `hotCache`. */
export class HotCache {
  readonly #context: NodeContext;
  readonly #definition: EntityDefinition;
  readonly #ageMs: number;
  /** By id, then by the message's text. */
  readonly #entities = new Map<string, Map<string, Entry>>();
  /** The oldest first. */
  readonly #entries = new Set<Entry>();
  #chars = 0;

  constructor(context: NodeContext, definition: EntityDefinition, ageMs: number) {
    this.#context = context;
    this.#definition = definition;
    this.#ageMs = ageMs;
  }

  /** Answers from the cache, or by `send`. */
  send(sending: Sending, send: Send): Promise<unknown> {
    const { hot, clock, leaseHolds } = this.#context;
    const { entity, id, type, oneWay } = sending;
    const spec = this.#definition.messages.get(type);
    if (spec?.kind === "command") this.#drop(id);
    if (spec?.kind !== "query" || oneWay || !leaseHolds || !hot.isHot(entity, id)) {
      return send(sending);
    }
    const nowMs = clock.nowMs();
    const usualMs = spec.timeoutMs ?? CALL_TIMEOUT_MS;
    const ownMs = sending.timeoutMs ?? usualMs;
    let query: Sending;
    try {
      query = { ...sending, message: copyPayload(sending, sending.message) };
    } catch {
      // It is refused as without a cache.
      return send(sending);
    }
    const text = canonical(query.message);
    let entry = this.#entities.get(id)?.get(text);
    if (entry !== undefined && nowMs > entry.untilMs) {
      this.#forget(entry);
      entry = undefined;
    }
    // A turn must not wait for a query that does not know of it: a cycle would never be found.
    const isAnswered = entry?.deadlineMs === Number.POSITIVE_INFINITY;
    if (!isAnswered && (sending.chain?.length ?? 0) > 0) return send(sending);
    // Who has more patience than those who wait already goes alone.
    if (entry !== undefined && nowMs + ownMs > entry.deadlineMs) return send(sending);
    if (entry === undefined) {
      const timeoutMs = Math.max(usualMs, ownMs) + this.#ageMs;
      const free = { boundMs: Number.POSITIVE_INFINITY, signal: undefined, timeoutMs };
      entry = this.#keep({
        id,
        text,
        untilMs: nowMs + this.#ageMs,
        deadlineMs: nowMs + timeoutMs,
        answer: send({ ...query, ...free }),
        chars: 0,
      });
    } else {
      hot.count(entity, id);
    }
    return share(entry.answer, { ...sending, timeoutMs: ownMs }, this.#context);
  }

  #keep(entry: Entry): Entry {
    const { id, text, answer } = entry;
    const ofEntity = this.#entities.get(id) ?? new Map<string, Entry>();
    this.#entities.set(id, ofEntity.set(text, entry));
    this.#entries.add(entry);
    this.#grow(entry, text.length);
    answer.then(
      (value) => {
        entry.deadlineMs = Number.POSITIVE_INFINITY;
        copyPlain(value);
        this.#grow(entry, charsMaxOfLastCopy());
      },
      () => this.#forget(entry),
    );
    return entry;
  }

  /** Makes room for `chars` more of `entry`, if it was not dropped meanwhile. */
  #grow(entry: Entry, chars: number): void {
    if (!this.#entries.has(entry)) return;
    entry.chars += chars;
    this.#chars += chars;
    const nowMs = this.#context.clock.nowMs();
    for (const oldest of this.#entries) {
      const isOver =
        this.#entries.size > HOT_CACHE_ENTRIES_MAX || this.#chars > HOT_CACHE_CHARS_MAX;
      if (!isOver && oldest.untilMs >= nowMs) return;
      this.#forget(oldest);
    }
  }

  #drop(id: string): void {
    for (const entry of this.#entities.get(id)?.values() ?? []) this.#forget(entry);
  }

  #forget(entry: Entry): void {
    if (!this.#entries.delete(entry)) return;
    const { id, text, chars } = entry;
    this.#chars -= chars;
    const ofEntity = this.#entities.get(id);
    ofEntity?.delete(text);
    if (ofEntity?.size === 0) this.#entities.delete(id);
  }
}
