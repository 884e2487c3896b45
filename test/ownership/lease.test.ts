/** The session lease: the rules L1 to L4 as pure decisions. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { grantedLease, type Lease, type LeaseEvent, stepLease } from "../../src/ownership/lease.ts";

const TIMES = { everyMs: 200, timeoutMs: 800 };

type Held = Extract<Lease, { kind: "held" }>;

function held(lease: Lease): Held {
  if (lease.kind !== "held") throw new Error("The lease is over");
  return lease;
}

/** Ticks at `nowMs`, when a renewal is due; its operation. */
function renew(lease: Lease, nowMs: number): [Lease, number] {
  const [next, effect] = stepLease(lease, { kind: "tick", nowMs }, TIMES);
  if (effect?.kind !== "renew") throw new Error("No renewal is due");
  return [next, effect.operation];
}

describe("a lease", () => {
  test("holds from before its session was asked for (L1)", () => {
    expect(held(grantedLease(1_000, TIMES))).toMatchObject({ untilMs: 1_800, nextMs: 1_200 });
  });

  test("is not renewed before it is time, and then at once", () => {
    const lease = grantedLease(1_000, TIMES);
    expect(stepLease(lease, { kind: "tick", nowMs: 1_199 }, TIMES)).toEqual([lease, undefined]);
    expect(stepLease(lease, { kind: "tick", nowMs: 1_200 }, TIMES)[1]?.kind).toBe("renew");
  });

  test("counts a renewal from when it was sent, not from when it was answered (L1)", () => {
    const [waiting, operation] = renew(grantedLease(1_000, TIMES), 1_200);
    expect(held(waiting).untilMs).toBe(1_800);
    // However late the answer comes: the event carries no time at all.
    const [renewed] = stepLease(waiting, { kind: "renewed", operation }, TIMES);
    expect(held(renewed)).toMatchObject({ untilMs: 2_000, sentMs: undefined });
  });

  test("has one renewal under way at a time (L2)", () => {
    const [waiting] = renew(grantedLease(1_000, TIMES), 1_200);
    for (const nowMs of [1_400, 1_800, 9_000]) {
      expect(stepLease(waiting, { kind: "tick", nowMs }, TIMES)).toEqual([waiting, undefined]);
    }
  });

  test("believes only the answer to the renewal that is under way", () => {
    const [waiting, operation] = renew(grantedLease(1_000, TIMES), 1_200);
    const stale = { kind: "renewed", operation: operation - 1 } as const;
    expect(stepLease(waiting, stale, TIMES)).toEqual([waiting, undefined]);
    const [renewed] = stepLease(waiting, { kind: "renewed", operation }, TIMES);
    const again = { kind: "renewed", operation } as const;
    expect(stepLease(renewed, again, TIMES)).toEqual([renewed, undefined]);
  });

  test("that lapsed goes on when its renewal succeeds after all (L4)", () => {
    const [waiting, operation] = renew(grantedLease(1_000, TIMES), 1_200);
    const [late] = stepLease(waiting, { kind: "tick", nowMs: 5_000 }, TIMES);
    const [renewed, effect] = stepLease(late, { kind: "renewed", operation }, TIMES);
    expect(effect).toBe(undefined);
    // Sent at 1,200 it was good until 2,000: still lapsed, but not lost, and renewed at once.
    expect(held(renewed).untilMs).toBe(2_000);
    const [next, second] = renew(renewed, 5_001);
    const [again] = stepLease(next, { kind: "renewed", operation: second }, TIMES);
    expect(held(again).untilMs).toBe(5_801);
  });

  test("that was refused is over for good, and says so once", () => {
    const [waiting, operation] = renew(grantedLease(1_000, TIMES), 1_200);
    const [fenced, effect] = stepLease(waiting, { kind: "refused" }, TIMES);
    expect([fenced, effect]).toEqual([{ kind: "fenced" }, { kind: "fence" }]);
    const events: LeaseEvent[] = [
      { kind: "tick", nowMs: 9_000 },
      { kind: "renewed", operation },
      { kind: "refused" },
    ];
    for (const event of events)
      expect(stepLease(fenced, event, TIMES)).toEqual([fenced, undefined]);
  });

  test("never holds longer than its timeout after a moment at which it was asked for", () => {
    const event = fc.oneof(fc.nat(500), fc.constantFrom("answer" as const, "stale" as const));
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        let nowMs = 0;
        let lease = grantedLease(0, TIMES);
        const askedMs = [0];
        let operation = -1;
        for (const each of events) {
          let input: LeaseEvent;
          if (typeof each === "number") input = { kind: "tick", nowMs: (nowMs += each) };
          else
            input = { kind: "renewed", operation: each === "answer" ? operation : operation - 1 };
          const before = held(lease).untilMs;
          const [next, effect] = stepLease(lease, input, TIMES);
          if (effect?.kind === "renew") {
            askedMs.push(nowMs);
            operation = effect.operation;
          }
          lease = next;
          const { untilMs } = held(lease);
          expect(untilMs).toBeGreaterThanOrEqual(before);
          expect(askedMs).toContain(untilMs - TIMES.timeoutMs);
        }
      }),
      { numRuns: 500 },
    );
  });
});
