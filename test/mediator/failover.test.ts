/** Which calls are tried again, when, and where. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { CatgaError, type ErrorCode, type Executed } from "../../src/base/errors.ts";
import { WINDOW_LOST } from "../../src/runtime/dedup-window.ts";
import { excluded, type FailedCall, failover, verdictOn } from "../../src/mediator/failover.ts";
import { World } from "../../src/testing/world.ts";

const LIMITS = { maxRetries: 3, retry: { firstMs: 50, longestMs: 2_000 } };
const message = { entity: "orders.place", message: "orders.place" };

const unavailable = new CatgaError("UNAVAILABLE", { reason: "it has gone" });
const overloaded = new CatgaError("OVERLOADED", { what: "calls", limit: 8 });
const full = new CatgaError("MAILBOX_FULL", { entity: "@orders/1", capacity: 8 });
const unknown = new CatgaError("OUTCOME_UNKNOWN", { ...message, reason: "it died" });
const threw = new CatgaError("HANDLER_FAILED", { ...message, name: "Error", text: "no" });
const away = new CatgaError("STORE_UNAVAILABLE", { store: "SQLite", reason: "locked" });
const late = (executed: Executed): CatgaError =>
  new CatgaError("CALL_TIMEOUT", { ...message, timeoutMs: 5, executed });

/** Errors that come again wherever the call goes. */
const FINAL: readonly CatgaError[] = [
  threw,
  new CatgaError("BALANCER_FAILED", { message: "orders.place", reason: "threw Error: no" }),
  new CatgaError("CANCELLED", { ...message, executed: "no" }),
  new CatgaError("CLUSTER_STOPPED", { node: "a" }),
  new CatgaError("INVALID_PAYLOAD", { ...message, issues: "n: is wrong" }),
  new CatgaError("INVALID_REPLY", { ...message, issues: "n: is wrong" }),
  new CatgaError("PAYLOAD_NOT_ENCODABLE", { ...message, path: "$.a", found: "a function" }),
  new CatgaError("REPLY_TOO_LARGE", { ...message, bytes: 2, bytesMax: 1 }),
  new CatgaError("TOO_LARGE", { what: "message", bytes: 2, bytesMax: 1 }),
  new CatgaError("UNKNOWN_MESSAGE", message),
];

function says(error: CatgaError): [ErrorCode, string] {
  return [error.code, verdictOn(error)];
}

function after(failed: Partial<FailedCall>): ReturnType<typeof failover> {
  const call = { error: unavailable, tried: ["a"], candidates: ["a", "b", "c"], leftMs: 5_000 };
  return failover({ ...call, mayRunTwice: false, ...failed }, LIMITS, new World(1));
}

describe("a call that failed", () => {
  test("goes to a node that was not tried, after a delay that doubles, with jitter", () => {
    const waitsMs = [["a"], ["a", "b"], ["a", "b", "c"]].map((tried) => after({ tried })!);
    for (const [n, firstMs] of [50, 100, 200].entries()) {
      expect(waitsMs[n]).toBeGreaterThanOrEqual(firstMs / 2);
      expect(waitsMs[n]).toBeLessThanOrEqual(firstMs);
    }
    expect(excluded(["a", "b"], ["a", "b", "c"])).toEqual(["a", "b"]);
  });

  test("is given up after three retries", () => {
    expect(after({ tried: ["a", "b", "c"] })).toBeDefined();
    expect(after({ tried: ["a", "b", "c", "d"] })).toBe(undefined);
  });

  test("may come back to a node when all were tried, but not to the one it comes from", () => {
    expect(excluded(["a", "c", "b"], ["a", "b", "c"])).toEqual(["b"]);
    expect(excluded(["a"], ["a"])).toEqual([]);
    expect(excluded(["a"], [])).toEqual([]);
    // The last one has gone, or its circuit is open: everybody else was tried, and may be again.
    expect(excluded(["a", "b", "c"], ["a", "b"])).toEqual([]);
  });

  test("that may have run is tried again only if it may run twice", () => {
    for (const error of [unknown, late("maybe")]) {
      expect(after({ error })).toBe(undefined);
      expect(after({ error, mayRunTwice: true })).toBeDefined();
    }
    expect(after({ error: late("no") })).toBeDefined();
  });

  test("is not tried again when a node that knew its key is gone with what it knew", () => {
    const error = new CatgaError("OUTCOME_UNKNOWN", { ...message, reason: WINDOW_LOST });
    expect(after({ error, mayRunTwice: true })).toBe(undefined);
  });

  test.each(FINAL.map((error) => [error.code, error] as const))(
    "with %s is not tried again, be it a query or not",
    (_, error) => {
      expect(after({ error, mayRunTwice: true })).toBe(undefined);
      expect(after({ error, mayRunTwice: false })).toBe(undefined);
    },
  );

  test("because a node is busy goes to another one at once, and waits when there is none", () => {
    for (const error of [overloaded, full]) {
      expect(after({ error })).toBe(0);
      expect(after({ error, candidates: ["a"] })!).toBeGreaterThan(0);
    }
  });

  test("waits for somebody to come back when there is nobody", () => {
    expect(after({ candidates: [] })).toBeDefined();
  });

  test("is given up when the wait would last beyond its deadline", () => {
    expect(after({ leftMs: 20 })).toBe(undefined);
    expect(after({ leftMs: 60 })).toBeDefined();
    expect(after({ error: overloaded, leftMs: 0 })).toBe(undefined);
  });

  test("never goes where it was while there is anybody else, nor runs twice unasked", () => {
    const names = fc.constantFrom("a", "b", "c", "d", "e");
    const call = fc.record({
      error: fc.constantFrom(
        unavailable,
        overloaded,
        unknown,
        away,
        late("no"),
        late("maybe"),
        ...FINAL,
      ),
      tried: fc.array(names, { minLength: 1, maxLength: 6 }),
      candidates: fc.uniqueArray(names),
      mayRunTwice: fc.boolean(),
      leftMs: fc.nat(10_000),
    });
    fc.assert(
      fc.property(call, fc.integer(), (failed, seed) => {
        const { error, tried, candidates, mayRunTwice, leftMs } = failed;
        const waitMs = failover(failed, LIMITS, new World(seed));
        if (waitMs === undefined) return;
        expect(error.executed).not.toBe("yes");
        if (error.executed === "maybe") expect(mayRunTwice).toBe(true);
        expect(tried.length).toBeLessThanOrEqual(LIMITS.maxRetries);
        expect(waitMs).toBeLessThan(leftMs);
        const exclude = excluded(tried, candidates);
        const open = candidates.filter((node) => !exclude.includes(node));
        const fresh = candidates.filter((node) => !tried.includes(node));
        expect(open.length > 0).toBe(candidates.length > 0);
        if (fresh.length > 0) expect(open).toEqual(fresh);
        else if (candidates.length > 1) expect(open).not.toContain(tried.at(-1)!);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("for the circuit of its node, a call", () => {
  test("that was not answered has failed", () => {
    for (const error of [unavailable, unknown, late("no"), late("maybe")]) {
      expect(says(error)).toEqual([error.code, "failed"]);
    }
  });

  test("whose handler threw, or whose node is busy, has shown that the node lives", () => {
    for (const error of [threw, overloaded, full]) {
      expect(says(error)).toEqual([error.code, "succeeded"]);
    }
  });

  test("that its caller cancelled, or that was wrong, says nothing", () => {
    for (const error of FINAL.filter(({ executed }) => executed !== "yes")) {
      expect(says(error)).toEqual([error.code, "given-up"]);
    }
  });
});
