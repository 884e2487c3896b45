/**
 * What a node keeps of answers to queries: 1,000 of them, of a small order each, 256 callers at a
 * time. The floor is a map that hands out promises: what anybody needs who keeps answers for good,
 * and trusts all who share them not to write. One line is for a key that the query names, one for
 * the key made from the whole payload, and one for a key that is invalidated, answer or not, whose
 * floor is a map that forgets it.
 */
import { systemClock } from "../../src/base/clock.ts";
import { CACHE_BYTES_MAX, CACHE_ENTRIES_MAX } from "../../src/base/limits.ts";
import { cacheKeyOf, type CacheRule, QueryCache } from "../../src/runtime/query-cache.ts";
import { atLeast, type Goal, rateFigure } from "../figure.ts";
import { contest, type Load, type Outcome } from "../measure/contest.ts";
import { effort } from "../measure/effort.ts";
import { inFlight } from "../measure/in-flight.ts";
import { say } from "../parent.ts";

const ANSWERS = 1_000;
const IN_FLIGHT = 256;
const rule: CacheRule = { type: "orders.get", ttlMs: 3_600_000, staleMs: 0 };

const cache = new QueryCache({
  clock: systemClock,
  entriesMax: CACHE_ENTRIES_MAX,
  bytesMax: CACHE_BYTES_MAX,
});
const kept = new Map<string, unknown>();
const payloads = Array.from({ length: ANSWERS }, (_, n) => ({ orderId: `order-${n}`, lang: "de" }));
const keyOf = (n: number): string => payloads[n % ANSWERS]!.orderId;

const fill = async (): Promise<unknown> => ({ id: "order", total: 12.5, paid: true });
for (const payload of payloads) {
  kept.set(payload.orderId, await fill());
  await cache.answer(rule, payload.orderId, { fill });
  await cache.answer(rule, cacheKeyOf(payload), { fill });
}

const looked = inFlight(IN_FLIGHT, (n) => Promise.resolve(kept.get(keyOf(n))));

interface Line {
  readonly name: string;
  readonly subject: Load;
  readonly floor: Load;
  readonly goals: (outcome: Outcome) => Goal[];
}

const lines: readonly Line[] = [
  {
    name: "cached answer",
    subject: inFlight(IN_FLIGHT, (n) => cache.answer(rule, keyOf(n), { fill })),
    floor: looked,
    goals: ({ subject }) => [atLeast(subject.opsPerSecond, 2_000_000, "/s")],
  },
  {
    name: "cached answer, whole payload",
    subject: inFlight(IN_FLIGHT, (n) => {
      return cache.answer(rule, cacheKeyOf(payloads[n % ANSWERS]), { fill });
    }),
    floor: looked,
    goals: () => [],
  },
  {
    name: "invalidation of one key",
    subject: inFlight(1, (n) => cache.invalidate(rule.type, keyOf(n))),
    floor: inFlight(1, (n) => void kept.delete(keyOf(n))),
    goals: () => [],
  },
];

for (const { name, subject, floor, goals } of lines) {
  const outcome = await contest({ subject, floor }, effort());
  say(rateFigure(name, outcome, goals(outcome)));
}
