/** Durations at the door. */
import { expect, test } from "bun:test";
import { type Duration, durationMs } from "../../src/base/duration.ts";

test.each([
  [0, 0],
  [250, 250],
  [0.5, 0.5],
  ["0ms", 0],
  ["250ms", 250],
  ["1.5s", 1_500],
  ["10s", 10_000],
  ["5m", 300_000],
  ["2h", 7_200_000],
  ["400d", 34_560_000_000],
] as const)("%p is %d ms", (duration, expected) => {
  expect(durationMs(duration, "timeout")).toBe(expected);
});

test.each([
  "",
  "10",
  "s",
  "1 s",
  "-1s",
  "+1s",
  "1e3s",
  "10S",
  "10s ",
  "1.s",
  ".5s",
  "1w",
  "Infinitys",
  "0x1s",
])("%j is refused as no duration", (text) => {
  expect(() => durationMs(text as Duration, "timeout")).toThrow(TypeError);
  expect(() => durationMs(text as Duration, "timeout")).toThrow("Cannot use timeout");
});

test.each([[null], [undefined], [{}], [{ toString: 7 }], [[]], [true], [10n]])(
  "%p is refused as no duration",
  (value) => {
    expect(() => durationMs(value as never, "timeout")).toThrow(TypeError);
  },
);

test.each([-1, Number.NaN, Infinity, 34_560_000_001, "401d"] as const)(
  "%p is out of range",
  (duration) => {
    expect(() => durationMs(duration, "idle")).toThrow(RangeError);
  },
);
