/**
 * The cache against a model that knows nothing of rounds and flights: it numbers everything that
 * happens, and says of each fill whether something came between.
 */
import { expect, test } from "bun:test";
import { setImmediate as settled } from "node:timers/promises";
import * as fc from "fast-check";
import { QueryCache } from "../../src/runtime/query-cache.ts";
import { FakeClock } from "../base/fake-clock.ts";

const TYPES = ["orders", "carts"];
const KEYS = ["a", "b"];
const TTL_MS = 100;
const STALE_MS = 50;

interface Asking {
  readonly kind: "answer" | "pass";
  readonly type: string;
  readonly key: string;
}

/** Comes so many promises after what was done before it, all of whose promises may take longer. */
interface Soon {
  readonly ticks: number;
}

type Action =
  | Asking
  | { readonly kind: "end"; readonly nth: number; readonly isFailure: boolean }
  | (Soon & {
      readonly kind: "invalidate";
      readonly type: string;
      readonly key?: string | undefined;
    })
  | (Soon & { readonly kind: "clear" })
  | { readonly kind: "wait"; readonly ms: number };

/** A fill, as it begins: both sides number them alike. */
interface Fill {
  readonly place: string;
  readonly isKept: boolean;
  readonly beganAt: number;
  readonly beganMs: number;
  outcome: "open" | "answered" | "failed";
}

/** What one who asks has to be told: the answer of a fill, sooner or later. */
interface Expected {
  readonly fill: number;
  readonly isAtOnce: boolean;
}

class Model {
  readonly fills: Fill[] = [];
  readonly #kept = new Map<string, number>();
  /** When a place was last invalidated, by its own key, by its type, or with all. */
  readonly #invalidatedAt = new Map<string, number>();
  #at = 0;

  answer(place: string, nowMs: number): Expected {
    const kept = this.#kept.get(place);
    const ageMs = kept === undefined ? Infinity : nowMs - this.fills[kept]!.beganMs;
    if (kept === undefined || ageMs >= TTL_MS + STALE_MS) return this.pass(place, nowMs, true);
    if (ageMs >= TTL_MS) this.pass(place, nowMs, true);
    return { fill: kept, isAtOnce: true };
  }

  pass(place: string, nowMs: number, isKept = false): Expected {
    if (!isKept) this.#kept.delete(place);
    const last = this.fills.findLastIndex((fill) => fill.place === place);
    const { outcome, isKept: wasKept } = this.fills[last] ?? {};
    if (outcome === "open" && wasKept === isKept && this.#isValid(last)) {
      return { fill: last, isAtOnce: false };
    }
    this.fills.push({ place, isKept, beganAt: this.#at++, beganMs: nowMs, outcome: "open" });
    return { fill: this.fills.length - 1, isAtOnce: false };
  }

  end(number: number, isFailure: boolean): void {
    const fill = this.fills[number]!;
    fill.outcome = isFailure ? "failed" : "answered";
    const isLast = this.fills.findLastIndex(({ place }) => place === fill.place) === number;
    if (!isFailure && fill.isKept && isLast && this.#isValid(number)) {
      this.#kept.set(fill.place, number);
    }
  }

  invalidate(places: readonly string[]): void {
    for (const place of places) {
      this.#kept.delete(place);
      this.#invalidatedAt.set(place, this.#at);
    }
    this.#at++;
  }

  /** What `expected` comes to as things stand; undefined while nobody can know. */
  outcomeOf({ fill, isAtOnce }: Expected): number | string | undefined {
    const { outcome } = this.fills[fill]!;
    if (isAtOnce || outcome === "answered") return fill;
    return outcome === "failed" ? `fill ${fill}` : undefined;
  }

  #isValid(number: number): boolean {
    const { place, beganAt } = this.fills[number]!;
    return beganAt > (this.#invalidatedAt.get(place) ?? -1);
  }
}

interface Ending {
  succeed(value: unknown): void;
  fail(error: Error): void;
}

/** What one who asked was told. */
interface Waiting {
  readonly expected: Expected;
  came: number | string | undefined;
}

/** The cache and the model, side by side. */
class Pair {
  readonly #clock = new FakeClock();
  readonly model = new Model();
  readonly cache = new QueryCache({ clock: this.#clock, entriesMax: 100, bytesMax: 1_000_000 });
  readonly #endings: Ending[] = [];
  readonly waiting: Waiting[] = [];

  readonly #fill = (): Promise<unknown> =>
    new Promise((succeed, fail) => this.#endings.push({ succeed, fail }));

  /** Compares the two, once nothing is on its way. */
  check(): void {
    expect(this.#endings.length).toBe(this.model.fills.length);
    for (const { came, expected } of this.waiting) {
      expect(came).toBe(this.model.outcomeOf(expected));
    }
  }

  #ask({ kind, type, key }: Asking): void {
    const expected = this.model[kind](`${type}/${key}`, this.#clock.nowMs());
    const waiting: Waiting = { expected, came: undefined };
    this.waiting.push(waiting);
    this.cache[kind]({ type, ttlMs: TTL_MS, staleMs: STALE_MS }, key, { fill: this.#fill }).then(
      (answer) => {
        const own = answer as { fill: number };
        waiting.came = own.fill;
        // Whoever shared this answer would see it.
        own.fill = -1;
      },
      (error: Error) => (waiting.came = error.message),
    );
  }

  act(action: Action): void {
    switch (action.kind) {
      case "answer":
      case "pass":
        this.#ask(action);
        return;
      case "end": {
        const open = this.model.fills.flatMap((fill, n) => (fill.outcome === "open" ? [n] : []));
        const number = open[action.nth % open.length];
        if (number === undefined) return;
        this.model.end(number, action.isFailure);
        if (action.isFailure) this.#endings[number]!.fail(new Error(`fill ${number}`));
        else this.#endings[number]!.succeed({ fill: number });
        return;
      }
      case "invalidate": {
        const keys = action.key === undefined ? KEYS : [action.key];
        this.model.invalidate(keys.map((key) => `${action.type}/${key}`));
        this.cache.invalidate(action.type, action.key);
        return;
      }
      case "clear":
        this.model.invalidate(TYPES.flatMap((type) => KEYS.map((key) => `${type}/${key}`)));
        this.cache.clear();
        return;
      case "wait":
        this.#clock.advance(action.ms);
    }
  }
}

const place = { type: fc.constantFrom(...TYPES), key: fc.constantFrom(...KEYS) };
const soon = { ticks: fc.nat(12) };
const ofKind = <const K extends string>(kind: K) => ({ kind: fc.constant(kind) });
const actions: fc.Arbitrary<Action[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ ...ofKind("answer"), ...place }) },
    { weight: 1, arbitrary: fc.record({ ...ofKind("pass"), ...place }) },
    {
      weight: 5,
      arbitrary: fc.record({ ...ofKind("end"), nth: fc.nat(9), isFailure: fc.boolean() }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        ...ofKind("invalidate"),
        ...soon,
        type: place.type,
        key: fc.option(place.key, { nil: undefined }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ ...ofKind("clear"), ...soon }) },
    {
      weight: 2,
      arbitrary: fc.record({ ...ofKind("wait"), ms: fc.constantFrom(1, 49, 50, 99, 100, 150) }),
    },
  ),
  { maxLength: 40, size: "max" },
);

test("a cache answers as a model that numbers everything says", async () => {
  const matches = fc.asyncProperty(actions, async (plan) => {
    const pair = new Pair();
    for (const action of plan) {
      if ("ticks" in action) {
        for (let tick = 0; tick < action.ticks; tick++) await Promise.resolve();
      } else {
        await settled();
        pair.check();
      }
      pair.act(action);
    }
    await settled();
    pair.check();
  });
  await fc.assert(matches, { numRuns: 500 });
});
