/** Deadlines in bulk. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { TimerWheel, WheelEntry } from "../../src/base/timer-wheel.ts";
import { FakeClock } from "./fake-clock.ts";

const TICK_MS = 8;

class Entry extends WheelEntry {
  readonly #expired: (entry: Entry) => void;
  constructor(expired: (entry: Entry) => void) {
    super();
    this.#expired = expired;
  }
  override expire(): void {
    this.#expired(this);
  }
}

function wheelAt(nowMs: number): { clock: FakeClock; wheel: TimerWheel; at: number[] } {
  const clock = new FakeClock(nowMs);
  const at: number[] = [];
  return { clock, wheel: new TimerWheel(clock, TICK_MS), at };
}

describe("a timer wheel", () => {
  test("expires each entry once, never early, and one tick late at most", () => {
    const delay = fc.oneof(
      fc.nat(100),
      fc.nat(5_000),
      fc.nat(100_000),
      fc.double({ min: 0, max: 50, noNaN: true }),
    );
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1e7, noNaN: true }),
        fc.array(fc.tuple(delay, fc.boolean(), fc.nat(50)), { maxLength: 60 }),
        (startMs, plans) => {
          const { clock, wheel } = wheelAt(startMs);
          const open = new Map<Entry, number>();
          let expired = 0;
          const expire = (entry: Entry): void => {
            const deadlineMs = open.get(entry)!;
            open.delete(entry);
            expired++;
            expect(clock.nowMs()).toBeGreaterThanOrEqual(deadlineMs);
            expect(clock.nowMs()).toBeLessThanOrEqual(deadlineMs + TICK_MS + 1e-6);
          };
          let removed = 0;
          for (const [delayMs, isRemoved, passMs] of plans) {
            const entry = new Entry(expire);
            open.set(entry, clock.nowMs() + delayMs);
            wheel.add(entry, clock.nowMs() + delayMs);
            clock.advance(passMs);
            if (isRemoved && open.delete(entry)) {
              removed++;
              wheel.remove(entry);
              wheel.remove(entry);
            }
            expect(wheel.size).toBe(open.size);
          }
          clock.advance(100_000 + 2 * TICK_MS);
          expect(expired + removed).toBe(plans.length);
          expect(wheel.size).toBe(0);
          clock.advance(512 * TICK_MS);
          expect(clock.timerCount).toBe(0);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("arms one timer for any number of entries", () => {
    const { clock, wheel, at } = wheelAt(1_000);
    for (let n = 0; n < 10_000; n++) wheel.add(new Entry(() => at.push(n)), 1_000 + (n % 500));
    expect(clock.timerCount).toBe(1);
    clock.advance(600);
    expect(at).toHaveLength(10_000);
  });

  test("arms no timer while it is empty", () => {
    const { clock, wheel } = wheelAt(0);
    expect(clock.timerCount).toBe(0);
    wheel.add(new Entry(() => {}), 10);
    clock.advance(50);
    expect(clock.timerCount).toBe(0);
  });

  test("catches up after the event loop was kept from it for many turns of the wheel", () => {
    const { clock, wheel, at } = wheelAt(0);
    for (let n = 0; n < 3_000; n++) wheel.add(new Entry(() => at.push(n)), n * 10);
    clock.freeze(20_000);
    clock.advance(TICK_MS);
    expect(at).toHaveLength(2_001);
    clock.advance(12_000);
    expect(at).toHaveLength(3_000);
  });

  test("expires an entry that is due already at the next tick, not at once", () => {
    const { clock, wheel, at } = wheelAt(100);
    wheel.add(new Entry(() => at.push(clock.nowMs())), 5);
    expect(at).toEqual([]);
    clock.advance(TICK_MS);
    expect(at).toEqual([104]);
  });

  test("lets an entry that expires hang itself in anew, and take others out", () => {
    const { clock, wheel, at } = wheelAt(0);
    const doomed = new Entry(() => at.push(-1));
    const again = new Entry((entry) => {
      at.push(clock.nowMs());
      wheel.remove(doomed);
      if (at.length < 4) wheel.add(entry, clock.nowMs() + 100);
    });
    // The one that hung in last is looked at first.
    wheel.add(doomed, 16);
    wheel.add(again, 16);
    clock.advance(1_000);
    expect(at).toEqual([16, 120, 224, 328]);
    expect(wheel.size).toBe(0);
  });

  test("holds an entry that is many turns away", () => {
    const { clock, wheel, at } = wheelAt(0);
    wheel.add(new Entry(() => at.push(clock.nowMs())), 1_000_000);
    clock.advance(999_999);
    expect(at).toEqual([]);
    clock.advance(1);
    expect(at).toEqual([1_000_000]);
  });

  test("that was stopped expires nothing any more", () => {
    const { clock, wheel, at } = wheelAt(0);
    wheel.add(new Entry(() => at.push(1)), 10);
    wheel.stop();
    wheel.add(new Entry(() => at.push(2)), 10);
    clock.advance(1_000);
    expect(at).toEqual([]);
    expect(clock.timerCount).toBe(0);
  });

  test("goes on when it was empty for a long time", () => {
    const { clock, wheel, at } = wheelAt(0);
    wheel.add(new Entry(() => at.push(clock.nowMs())), 8);
    clock.advance(8);
    clock.advance(1_000_000);
    wheel.add(new Entry(() => at.push(clock.nowMs())), clock.nowMs() + 8);
    clock.advance(16);
    expect(at).toEqual([8, 1_000_016]);
  });
});
