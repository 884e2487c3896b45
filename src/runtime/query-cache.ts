/**
 * The answers to queries that one node keeps for a while, and may not keep when it hears that they
 * are over.
 *
 * Nobody is told an answer that was asked for before the invalidation he could know of. Answers
 * and fills under way stand in the *round* of their type. A key that is invalidated leaves its
 * round, a type begins another one, and what a fill brings is kept only if the fill still stands
 * where it began: so an invalidation costs one look into a table, whatever is cached, and leaves
 * nothing behind.
 *
 * The age of an answer counts from before it was asked for.
 */
import { LRUCache } from "lru-cache";
import { canonical } from "../base/canonical.ts";
import type { Clock } from "../base/clock.ts";
import { charsMaxOfLastCopy, copyPlain } from "../base/plain.ts";

/** How the answers to one type of query are kept. */
export interface CacheRule {
  readonly type: string;
  /** An answer is fresh for so long. */
  readonly ttlMs: number;
  /** For so long beyond, it is still told while another one is asked for; 0 for never. */
  readonly staleMs: number;
  /** Nobody joins a fill that began longer ago. @default any may be joined */
  readonly joinMs?: number;
}

/** What a cache may hold. */
export interface CacheOptions {
  readonly clock: Clock;
  readonly entriesMax: number;
  /** Of answers and keys together, estimated from above. */
  readonly bytesMax: number;
}

/** What a cache has done so far, and what it holds. */
export interface CacheFigures {
  /** Answers that were kept here; of those that were stale, each counts too. */
  readonly hits: number;
  /** Answers that were waited for, also those that others were waiting for already. */
  readonly misses: number;
  /** With those of rounds that are over, until others take their room. */
  readonly entries: number;
  readonly bytes: number;
}

interface Entry {
  readonly answer: unknown;
  readonly freshUntilMs: number;
  readonly endsMs: number;
}

/** Who asks, and how the answer is got if it is not there. */
export interface Asker {
  /** Must end by `untilMs`. */
  readonly fill: () => Promise<unknown>;
  /** By the clock: nobody waits longer. @default for ever */
  readonly untilMs?: number;
  /** What whoever asks waits with. @default until there is an answer */
  readonly wait?: (answer: Promise<unknown>) => Promise<unknown>;
}

/** Who else may wait for a fill, and whether its answer is kept. */
type Sharing = "kept" | "passed" | "alone";

interface Flight {
  readonly question: Question;
  readonly beganMs: number;
  readonly answer: Promise<unknown>;
}

/** What is valid of one type since it was invalidated as a whole. */
interface Round {
  /** Goes before the keys of its answers; no other round ever had it. */
  readonly prefix: string;
  readonly flights: Map<string, Flight>;
}

interface Question extends Asker {
  readonly rule: CacheRule;
  readonly key: string;
  readonly sharing: Sharing;
}

interface Arrival {
  readonly name: string;
  readonly answer: unknown;
  readonly flight: Flight;
}

/** An entry, its key's place in the tables, and the objects around it. */
const ENTRY_BYTES = 256;

/** The cache of one node. Every caller owns the copy he is given. */
export class QueryCache {
  readonly #clock: Clock;
  readonly #entries: LRUCache<string, Entry>;
  /** The oldest first; no more than there can be answers. */
  readonly #rounds = new Map<string, Round>();
  readonly #roundsMax: number;
  #roundsBegun = 0;
  #hits = 0;
  #misses = 0;

  constructor({ clock, entriesMax, bytesMax }: CacheOptions) {
    this.#clock = clock;
    this.#roundsMax = entriesMax;
    this.#entries = new LRUCache({ max: entriesMax, maxSize: bytesMax });
  }

  /**
   * The answer under `key`, from here or from a fill, which is begun once for all who ask
   * meanwhile. Where it fails because its time is over, whoever has more goes on with another one.
   *
   * @throws what the fill throws, and {@link CopyError} when its answer is not plain.
   */
  answer(rule: CacheRule, key: string, asker: Asker): Promise<unknown> {
    const round = this.#roundOf(rule.type);
    const entry = this.#entries.get(round.prefix + key);
    const nowMs = this.#clock.nowMs();
    if (entry === undefined || nowMs >= entry.endsMs) {
      return this.#wait({ ...asker, rule, key, sharing: "kept" });
    }
    if (nowMs >= entry.freshUntilMs) {
      // Who fills knows of failures. The old answer stays until its end, and the next one who asks
      // tries again.
      const question = { ...asker, rule, key, sharing: "kept" } as const;
      this.#fly(question).answer.then(undefined, () => {});
    }
    this.#hits++;
    return Promise.resolve(copyPlain(entry.answer));
  }

  /**
   * The answer from a fill, begun once for all who ask past the cache meanwhile: for a node that
   * may have missed invalidations. What was kept is older than what is told now, and is forgotten.
   */
  pass(rule: CacheRule, key: string, asker: Asker): Promise<unknown> {
    this.#entries.delete(this.#roundOf(rule.type).prefix + key);
    return this.#wait({ ...asker, rule, key, sharing: "passed" });
  }

  /**
   * The answer under `key`, from here or from a `fill` that nobody else waits for, and that is
   * kept: for a turn, which might wait for itself in the fill of another one.
   */
  alone(rule: CacheRule, key: string, asker: Asker): Promise<unknown> {
    const entry = this.#entries.get(this.#roundOf(rule.type).prefix + key);
    if (entry === undefined || this.#clock.nowMs() >= entry.freshUntilMs) {
      return this.#wait({ ...asker, rule, key, sharing: "alone" });
    }
    this.#hits++;
    return Promise.resolve(copyPlain(entry.answer));
  }

  /** Forgets the answer of `type` under `key`, or all of that type. */
  invalidate(type: string, key?: string): void {
    const round = this.#rounds.get(type);
    if (round === undefined) return;
    if (key === undefined) {
      round.flights.clear();
      this.#rounds.delete(type);
    } else {
      round.flights.delete(key);
      this.#entries.delete(round.prefix + key);
    }
  }

  /** Forgets everything. */
  clear(): void {
    for (const type of this.#rounds.keys()) this.invalidate(type);
    this.#entries.clear();
  }

  /** What it has done so far, and what it holds. */
  get figures(): CacheFigures {
    const { size: entries, calculatedSize: bytes } = this.#entries;
    return { hits: this.#hits, misses: this.#misses, entries, bytes };
  }

  #roundOf(type: string): Round {
    let round = this.#rounds.get(type);
    if (round === undefined) {
      for (const oldest of this.#rounds.keys()) {
        if (this.#rounds.size < this.#roundsMax) break;
        this.invalidate(oldest);
      }
      round = { prefix: `${this.#roundsBegun++}:`, flights: new Map() };
      this.#rounds.set(type, round);
    }
    return round;
  }

  #wait(question: Question): Promise<unknown> {
    this.#misses++;
    const answer = this.#follow(question);
    return question.wait?.(answer) ?? answer;
  }

  /** A copy of what a fill brings that has as much time as `question`. */
  async #follow(question: Question): Promise<unknown> {
    const { untilMs = Number.POSITIVE_INFINITY } = question;
    for (;;) {
      const flight = this.#fly(question);
      try {
        return copyPlain(await flight.answer);
      } catch (error) {
        const endsMs = flight.question.untilMs ?? Number.POSITIVE_INFINITY;
        const nowMs = this.#clock.nowMs();
        if (flight.question === question || nowMs < endsMs || nowMs >= untilMs) throw error;
      }
    }
  }

  #fly(question: Question): Flight {
    const round = this.#roundOf(question.rule.type);
    const known = round.flights.get(question.key);
    const { rule, sharing } = question;
    const beganMs = this.#clock.nowMs();
    const mayJoin = sharing !== "alone" && known?.question.sharing === sharing;
    if (mayJoin && beganMs - known.beganMs <= (rule.joinMs ?? Number.POSITIVE_INFINITY))
      return known;
    let land!: (answer: Promise<unknown>) => void;
    const answer = new Promise<unknown>((resolve) => (land = resolve));
    const flight: Flight = { question, beganMs, answer };
    // Before it is filled: an invalidation that the fill itself causes has to find it under way.
    round.flights.set(question.key, flight);
    land(this.#fill(question, round, flight));
    return flight;
  }

  async #fill(question: Question, round: Round, flight: Flight): Promise<unknown> {
    const { key, sharing, fill } = question;
    try {
      const answer = copyPlain(await fill());
      if (round.flights.get(key) === flight && sharing !== "passed") {
        this.#keep(question, { name: round.prefix + key, answer, flight });
      }
      return answer;
    } finally {
      if (round.flights.get(key) === flight) round.flights.delete(key);
    }
  }

  /** Right after `answer` was copied: its size is that of the last copy. */
  #keep({ rule, key }: Question, { name, answer, flight }: Arrival): void {
    const freshUntilMs = flight.beganMs + rule.ttlMs;
    const endsMs = freshUntilMs + rule.staleMs;
    const size = ENTRY_BYTES + 2 * key.length + charsMaxOfLastCopy();
    this.#entries.set(name, { answer, freshUntilMs, endsMs }, { size });
  }
}

/**
 * The key of an answer that depends on all of `payload`: the same text whatever the order of its
 * properties. It is as long as the payload, and counts as that where it is kept.
 *
 * @throws {CopyError} when `payload` is not plain, or too large for a message.
 */
export function cacheKeyOf(payload: unknown): string {
  return payload === undefined ? "" : canonical(copyPlain(payload));
}
