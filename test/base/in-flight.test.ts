/** What is under way, on average. */
import { describe, expect, test } from "bun:test";
import { InFlight } from "../../src/base/in-flight.ts";

function came(inFlight: InFlight, count: number): void {
  for (let n = 0; n < count; n++) inFlight.begin();
}

describe("what is under way", () => {
  test("is on average what each one found that came since it was asked last", () => {
    const inFlight = new InFlight();
    came(inFlight, 3);
    expect([inFlight.count, inFlight.takeMean()]).toEqual([3, 1]);
    inFlight.end();
    came(inFlight, 1);
    expect(inFlight.takeMean()).toBe(2);
  });

  test("is what there is now when nothing came", () => {
    const inFlight = new InFlight();
    expect(inFlight.takeMean()).toBe(0);
    came(inFlight, 2);
    inFlight.takeMean();
    inFlight.end();
    expect(inFlight.takeMean()).toBe(1);
  });

  test("is not seen as the crest of the moment", () => {
    const inFlight = new InFlight();
    for (let n = 0; n < 99; n++) {
      inFlight.begin();
      inFlight.end();
    }
    came(inFlight, 3);
    expect([inFlight.count, inFlight.takeMean() < 0.1]).toEqual([3, true]);
  });
});
