/**
 * Cached queries: which answers this node may tell, because it hears of everything that would make
 * them old, and which it has to ask for.
 */
import type { Clock } from "../base/clock.ts";
import { CACHE_BYTES_MAX, CACHE_ENTRIES_MAX } from "../base/limits.ts";
import { CopyError } from "../base/plain.ts";
import { handlerEntity } from "../protocol/ids.ts";
import { copyPayload } from "../runtime/call.ts";
import type { Topics } from "../runtime/topics.ts";
import type { Asker, CacheFigures, CacheRule } from "../runtime/query-cache.ts";
import { cacheKeyOf, QueryCache } from "../runtime/query-cache.ts";
import type { CacheSpec, InvalidationSpec, KeyFunction, NamedSpec } from "./definition.ts";

/** A query whose answers are kept. */
export interface CachedSpec extends NamedSpec {
  readonly cache: CacheSpec;
}

/** A query that is asked, and what sends it. */
export interface Question extends Asker {
  readonly message: object;
  /** A turn waits for the answer. */
  readonly isOfTurn: boolean;
}

/** See the file's header. Nothing is made before the first of them is asked. */
export class Answers {
  readonly #topics: Topics;
  readonly #clock: Clock;
  readonly #rules = new Map<NamedSpec, CacheRule>();
  #cache: QueryCache | undefined;

  constructor(topics: Topics, clock: Clock) {
    this.#topics = topics;
    this.#clock = clock;
  }

  /**
   * The answer, from here or from a fill.
   *
   * @throws {CatgaError} INVALID_KEY, PAYLOAD_NOT_ENCODABLE, TOO_LARGE; what the fill throws
   */
  answer(spec: CachedSpec, question: Question): Promise<unknown> {
    const { message, isOfTurn } = question;
    const { type, cache } = spec;
    const answers = (this.#cache ??= new QueryCache({
      clock: this.#clock,
      entriesMax: CACHE_ENTRIES_MAX,
      bytesMax: CACHE_BYTES_MAX,
    }));
    const rule = this.#rules.get(spec) ?? this.#open(spec);
    const key = cache.key === undefined ? wholeKey(type, message) : cache.key(message);
    const isHeard = cache.invalidatedBy.every((by) => this.#topics.isHeard(by.type));
    if (!isHeard) return isOfTurn ? question.fill() : answers.pass(rule, key, question);
    return isOfTurn ? answers.alone(rule, key, question) : answers.answer(rule, key, question);
  }

  /** Nothing before the first question. */
  get figures(): CacheFigures | undefined {
    return this.#cache?.figures;
  }

  #open(spec: CachedSpec): CacheRule {
    const { type, cache } = spec;
    const rule = { type, ttlMs: cache.ttlMs, staleMs: cache.staleMs };
    this.#rules.set(spec, rule);
    for (const by of cache.invalidatedBy) this.#watch(spec, by);
    return rule;
  }

  #watch({ type, cache }: CachedSpec, by: InvalidationSpec): void {
    // Where the whole payload is the key, a part of it says nothing.
    const key = cache.key === undefined ? undefined : by.key;
    this.#topics.watch(by.type, {
      wantsMessage: key !== undefined,
      heard: (message) => this.#cache?.invalidate(type, message && key && keyIn(message, key)),
      lost: () => this.#cache?.invalidate(type),
    });
  }
}

/** Nothing, and so all of them, for a message without the key. */
function keyIn(message: object, key: KeyFunction): string | undefined {
  try {
    return key(message);
  } catch {
    return undefined; // Of another version, perhaps: whatever it was, something has happened.
  }
}

/** The key of what has none of its own. @throws {CatgaError} PAYLOAD_NOT_ENCODABLE, TOO_LARGE */
export function wholeKey(type: string, message: object): string {
  try {
    return cacheKeyOf(message);
  } catch (error) {
    // Refused as it would be without a cache.
    if (error instanceof CopyError)
      copyPayload({ entity: handlerEntity(type), id: "", type }, message);
    throw error;
  }
}
