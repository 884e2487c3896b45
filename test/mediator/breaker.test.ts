/** The circuit of a node: opens exactly at its threshold, tries with one call, comes back. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  admits,
  type Circuit,
  type CircuitEffect,
  type CircuitEvent,
  CLOSED,
  stepCircuit,
  type Verdict,
} from "../../src/mediator/breaker.ts";

const LIMITS = { threshold: 3, halfOpen: { firstMs: 1_000, longestMs: 3_000 } };
const VERDICTS = ["succeeded", "failed", "given-up"] as const;

/** A circuit, the calls to its node that are under way, and all it ever told. */
class Wire {
  circuit: Circuit = CLOSED;
  nowMs = 0;
  readonly told: CircuitEffect[] = [];
  readonly underWay: number[] = [];
  #calls = 0;

  /** Sends a call if the circuit lets it through; its number. */
  send(): number | undefined {
    if (!admits(this.circuit, this.nowMs)) return undefined;
    const call = this.#calls++;
    this.underWay.push(call);
    this.step("sent", call);
    return call;
  }

  end(call: number, verdict: Verdict): void {
    this.underWay.splice(this.underWay.indexOf(call), 1);
    this.step(verdict, call);
  }

  /** Sends a call, which must get through, and lets it end like that. */
  try(verdict: Verdict): void {
    this.end(this.send()!, verdict);
  }

  step(kind: CircuitEvent["kind"], call: number): void {
    const [next, effect] = stepCircuit(this.circuit, { kind, call, nowMs: this.nowMs }, LIMITS);
    this.circuit = next;
    if (effect !== undefined) this.told.push(effect);
  }
}

/** A wire whose circuit has just opened. */
function opened(): Wire {
  const wire = new Wire();
  for (let n = 0; n < LIMITS.threshold; n++) wire.try("failed");
  return wire;
}

describe("a circuit", () => {
  test("opens at its threshold of failures in a row, and not before", () => {
    const wire = new Wire();
    wire.try("failed");
    wire.try("failed");
    wire.try("succeeded");
    wire.try("failed");
    wire.try("failed");
    expect([wire.told, wire.send()]).toEqual([[], 5]);
    wire.end(5, "failed");
    expect([wire.told, wire.send()]).toEqual([["opened"], undefined]);
  });

  test("does not count calls that say nothing of the node, nor begin again with them", () => {
    const wire = new Wire();
    for (let n = 0; n < 20; n++) wire.try("given-up");
    wire.try("failed");
    wire.try("failed");
    wire.try("given-up");
    expect(wire.told).toEqual([]);
    wire.try("failed");
    expect(wire.told).toEqual(["opened"]);
  });

  test("lets one call through when its time has come, and closes with that one's answer", () => {
    const wire = opened();
    wire.nowMs = 999;
    expect(wire.send()).toBe(undefined);
    wire.nowMs = 1_000;
    const probe = wire.send()!;
    wire.nowMs = 9_000;
    expect(wire.send()).toBe(undefined);
    wire.end(probe, "succeeded");
    expect([wire.circuit, wire.told]).toEqual([CLOSED, ["opened", "closed"]]);
  });

  test("waits twice as long after each probe that failed, up to a bound, and tells it once", () => {
    const wire = opened();
    const waitsMs = [1_000, 2_000, 3_000, 3_000].map((waitMs) => {
      wire.nowMs += waitMs - 1;
      expect(wire.send()).toBe(undefined);
      wire.nowMs++;
      wire.try("failed");
      return waitMs;
    });
    expect([waitsMs.length, wire.told]).toEqual([4, ["opened"]]);
    wire.nowMs += 3_000;
    wire.try("succeeded");
    for (let n = 0; n < LIMITS.threshold; n++) wire.try("failed");
    // It has been well meanwhile: it begins with the first wait again.
    expect(wire.circuit).toEqual({ kind: "open", untilMs: wire.nowMs + 1_000, waitMs: 1_000 });
  });

  test("lets another call try at once when the probe was given up", () => {
    const wire = opened();
    wire.nowMs = 1_500;
    wire.try("given-up");
    const probe = wire.send()!;
    expect([probe, wire.send()]).toEqual([4, undefined]);
    wire.end(probe, "failed");
    expect(wire.circuit).toEqual({ kind: "open", untilMs: 3_500, waitMs: 2_000 });
  });

  test("takes no call for its probe that was sent although it lets none through", () => {
    const wire = opened();
    wire.nowMs = 999;
    wire.step("sent", 7);
    expect(wire.circuit.kind).toBe("open");
  });

  test("does not believe calls from before it opened", () => {
    const wire = new Wire();
    const early = [wire.send()!, wire.send()!, wire.send()!];
    for (let n = 0; n < LIMITS.threshold; n++) wire.try("failed");
    wire.end(early[0]!, "succeeded");
    expect(wire.circuit.kind).toBe("open");
    wire.nowMs = 1_000;
    const probe = wire.send()!;
    wire.end(early[1]!, "succeeded");
    wire.end(early[2]!, "failed");
    expect(wire.circuit).toMatchObject({ kind: "half-open", probe });
  });

  test("keeps nothing of a node that is well", () => {
    const wire = new Wire();
    wire.try("failed");
    wire.try("succeeded");
    expect(wire.circuit).toBe(CLOSED);
  });
});

type Deed =
  | { readonly kind: "send" }
  | { readonly kind: "end"; readonly nth: number; readonly verdict: Verdict }
  | { readonly kind: "wait"; readonly ms: number };

const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("send" as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("end" as const),
      nth: fc.nat(20),
      verdict: fc.constantFrom(...VERDICTS),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.nat(2_000) }) },
);
const deeds = fc.array(deed, { maxLength: 120 });

/** What must hold of a circuit, written down without one. */
class Model {
  failures = 0;
  probe: number | undefined;
  isOpen = false;

  sent(call: number): void {
    // Whatever gets through while it is open is the probe, and there was none.
    if (!this.isOpen) return;
    expect(this.probe).toBe(undefined);
    this.probe = call;
  }

  ended(call: number, verdict: Verdict): void {
    if (this.isOpen) {
      if (call !== this.probe) return;
      this.probe = undefined;
      if (verdict === "succeeded") this.isOpen = false;
    } else if (verdict !== "given-up") {
      this.failures = verdict === "failed" ? this.failures + 1 : 0;
      if (this.failures === LIMITS.threshold) this.isOpen = true;
    }
    if (this.isOpen) this.failures = 0;
  }
}

function run(wire: Wire, model: Model, each: Deed): void {
  if (each.kind === "wait") {
    wire.nowMs += each.ms;
  } else if (each.kind === "send") {
    const call = wire.send();
    if (call !== undefined) model.sent(call);
  } else if (wire.underWay.length > 0) {
    const call = wire.underWay[each.nth % wire.underWay.length]!;
    wire.end(call, each.verdict);
    model.ended(call, each.verdict);
  }
}

function play(events: readonly Deed[], look?: (wire: Wire, model: Model) => void): Wire {
  const [wire, model] = [new Wire(), new Model()];
  for (const each of events) {
    run(wire, model, each);
    look?.(wire, model);
  }
  return wire;
}

describe("whatever happens, a circuit", () => {
  test("is open exactly when its model is, and has one probe at most", () => {
    fc.assert(
      fc.property(deeds, (events) => {
        play(events, ({ circuit, told }, model) => {
          expect(circuit.kind !== "closed").toBe(model.isOpen);
          if (circuit.kind === "closed") expect(circuit.failures).toBe(model.failures);
          expect(circuit.kind === "half-open" ? circuit.probe : undefined).toBe(model.probe);
          expect(told.length % 2 === 1).toBe(model.isOpen);
        });
      }),
      { numRuns: 500 },
    );
  });

  test("tells that it opened and that it closed in turns", () => {
    fc.assert(
      fc.property(deeds, (events) => {
        const { told } = play(events);
        expect(told).toEqual(told.map((_, n) => (n % 2 === 0 ? "opened" : "closed")));
      }),
      { numRuns: 200 },
    );
  });

  test("closes when all that is under way ends and everything succeeds from then on", () => {
    fc.assert(
      fc.property(deeds, fc.constantFrom(...VERDICTS), (events, last) => {
        const wire = play(events);
        while (wire.underWay.length > 0) wire.end(wire.underWay[0]!, last);
        wire.nowMs += LIMITS.halfOpen.longestMs;
        wire.try("succeeded");
        expect(wire.circuit).toBe(CLOSED);
      }),
      { numRuns: 500 },
    );
  });

  test("never waits longer than its longest wait", () => {
    fc.assert(
      fc.property(deeds, (events) => {
        play(events, ({ circuit, nowMs }) => {
          if (circuit.kind !== "open") return;
          expect(circuit.untilMs - nowMs).toBeLessThanOrEqual(LIMITS.halfOpen.longestMs);
        });
      }),
      { numRuns: 200 },
    );
  });
});
