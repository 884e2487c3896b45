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
import { copyPayload, type Sending } from "./call.ts";
import type { EntityDefinition } from "./definition.ts";
import type { NodeContext } from "./node-context.ts";
import { type Asker, type CacheFigures, QueryCache } from "./query-cache.ts";
import { share } from "./sharing.ts";

/** Sends a query to its entity. */
type Send = (sending: Sending) => Promise<unknown>;

/** See the file's header. One for each entity type with `hotCache`. */
export class HotCache {
  readonly #context: NodeContext;
  readonly #definition: EntityDefinition;
  readonly #ageMs: number;
  /** Each entity has a type of answers of its own. */
  readonly #answers: QueryCache;

  constructor(context: NodeContext, definition: EntityDefinition, ageMs: number) {
    this.#context = context;
    this.#definition = definition;
    this.#ageMs = ageMs;
    const [entriesMax, bytesMax] = [HOT_CACHE_ENTRIES_MAX, HOT_CACHE_CHARS_MAX];
    this.#answers = new QueryCache({ clock: context.clock, entriesMax, bytesMax });
  }

  get figures(): CacheFigures {
    return this.#answers.figures;
  }

  /** Answers from the cache, or by `send`. */
  send(sending: Sending, send: Send): Promise<unknown> {
    const { hot, clock, leaseHolds } = this.#context;
    const { entity, id, type, oneWay, chain = [] } = sending;
    const spec = this.#definition.messages.get(type);
    if (spec?.kind === "command") this.#answers.invalidate(id);
    if (spec?.kind !== "query" || oneWay || !leaseHolds || !hot.isHot(entity, id)) {
      return send(sending);
    }
    let query: Sending;
    try {
      query = { ...sending, message: copyPayload(sending, sending.message) };
    } catch {
      // It is refused as without a cache.
      return send(sending);
    }
    const usualMs = spec.timeoutMs ?? CALL_TIMEOUT_MS;
    const { timeoutMs = usualMs } = sending;
    // Long enough for most who join.
    const patienceMs = Math.max(usualMs, timeoutMs);
    const rule = { type: id, ttlMs: this.#ageMs, staleMs: 0, joinMs: this.#ageMs };
    // A turn must not wait for a query that does not know of it: a cycle would never be found.
    const isAlone = chain.length > 0;
    const free = { timeoutMs: patienceMs, boundMs: Number.POSITIVE_INFINITY, signal: undefined };
    let isSent = false;
    const asker: Asker = {
      fill: () => {
        isSent = true;
        return send(isAlone ? query : { ...query, ...free });
      },
      untilMs: clock.nowMs() + patienceMs,
      ...(!isAlone && {
        wait: (answer) => share(answer, { ...sending, timeoutMs }, this.#context),
      }),
    };
    const answer = this.#answers[isAlone ? "alone" : "answer"](
      rule,
      canonical(query.message),
      asker,
    );
    if (!isSent) hot.count(entity, id);
    return answer;
  }
}
