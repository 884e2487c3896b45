/** Records under compare-and-set, against a model. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { type Change, Ledger } from "../../src/protocol/ledger.ts";

function change(key: string, expected: number, operation: string): Change {
  return { key, expected, operation, value: { incarnation: operation } };
}

const steps = fc.array(
  fc.record({ key: fc.constantFrom("a", "b", "c"), back: fc.nat(2), isRepeated: fc.boolean() }),
  { maxLength: 80 },
);

describe("a ledger", () => {
  test("carries out what is expected, refuses what is not, and repeats nothing", () => {
    fc.assert(
      fc.property(steps, (plan) => {
        const ledger = new Ledger();
        const latest = new Map<string, { revision: number; change: Change }>();
        let revision = 0;
        for (const [n, { key, back, isRepeated }] of plan.entries()) {
          const current = latest.get(key);
          if (isRepeated && current !== undefined) {
            const { result, changed } = ledger.cas(current.change);
            expect(result).toEqual({ ok: true, revision: current.revision });
            expect(changed).toBe(undefined);
            continue;
          }
          const expected = Math.max(0, (current?.revision ?? 0) - back);
          const next = change(key, expected, `${n}`);
          const { result, changed } = ledger.cas(next);
          if (expected === (current?.revision ?? 0)) {
            const { expected: _, ...entry } = next;
            expect(result).toEqual({ ok: true, revision: ++revision });
            expect(changed).toEqual({ ...entry, revision });
            latest.set(key, { revision, change: next });
          } else {
            expect(result).toEqual({ ok: false, current: ledger.get(key) });
            expect(changed).toBe(undefined);
          }
          expect(ledger.revision).toBe(revision);
        }
        expect(
          ledger
            .entries()
            .map(({ key }) => key)
            .sort(),
        ).toEqual([...latest.keys()].sort());
      }),
      { numRuns: 300 },
    );
  });

  test("that takes another one in keeps the newest of each record, in whatever order", () => {
    const [one, other] = [new Ledger(), new Ledger()];
    const first = one.cas(change("a", 0, "1")).changed!;
    const second = one.cas(change("a", first.revision, "2")).changed!;
    const third = one.cas(change("b", 0, "3")).changed!;
    for (const entries of [[third, second, first], [first], [second, third], []]) {
      other.merge(entries);
      expect(other.get("a")).toEqual(second);
      expect(other.get("b")).toEqual(third);
      expect(other.revision).toBe(third.revision);
    }
    expect(other.cas(change("a", second.revision, "4")).result).toEqual({ ok: true, revision: 4 });
  });

  test("that skips revisions never gives one of them", () => {
    const ledger = new Ledger();
    ledger.cas(change("a", 0, "1"));
    ledger.skip(100);
    expect(ledger.cas(change("b", 0, "2")).result).toEqual({ ok: true, revision: 102 });
  });
});
