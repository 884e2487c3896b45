/** The rules M1 to M3 of channels, as pure decisions. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { admit, isStale, recover } from "../../src/ownership/channel.ts";

test("M1: of messages that come doubled and in any order each is accepted once, in order", () => {
  const arrivals = fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 200 });
  fc.assert(
    fc.property(arrivals, (sequences) => {
      const accepted: number[] = [];
      for (const sequence of sequences) {
        const last = accepted.at(-1) ?? 0;
        const admission = admit(last, sequence);
        if (admission === "accept") accepted.push(sequence);
        else expect(admission).toBe(sequence <= last ? "duplicate" : "gap");
      }
      expect(accepted).toEqual(accepted.map((_, n) => n + 1));
    }),
  );
});

test("M2: a message that was resolved before the last claim is stale", () => {
  expect(isStale(3, 4)).toBe(true);
  expect(isStale(4, 4)).toBe(false);
  expect(isStale(5, 4)).toBe(false);
});

test("M3: a sender waits, sends again after handoffs, and starts anew after a claim", () => {
  const record = { owner: "b", handoff: null };
  expect(recover(5, { ...record, epoch: 5, cleanSince: 1 })).toBe("wait");
  expect(recover(5, { ...record, epoch: 4, cleanSince: 4 })).toBe("wait");
  expect(recover(5, { ...record, epoch: 6, cleanSince: 1 })).toBe("resend");
  expect(recover(5, { ...record, epoch: 9, cleanSince: 5 })).toBe("resend");
  expect(recover(5, { ...record, epoch: 6, cleanSince: 6 })).toBe("renumber");
  // A claim and handoffs after it: what was sent before the claim is in doubt all the same.
  expect(recover(5, { ...record, epoch: 9, cleanSince: 6 })).toBe("renumber");
});
