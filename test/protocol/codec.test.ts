/** What may travel, and how much of it. */
import { expect, test } from "bun:test";
import { MESSAGE_BYTES_MAX } from "../../src/base/limits.ts";
import { copyValue, OversizeError } from "../../src/protocol/codec.ts";

/** A list with one text, of so many bytes as JSON. */
function ofBytes(bytes: number, unit = "x"): string[] {
  const overhead = JSON.stringify([""]).length;
  const each = new TextEncoder().encode(JSON.stringify(unit)).length - 2;
  return [
    unit.repeat(Math.floor((bytes - overhead) / each)) + "x".repeat((bytes - overhead) % each),
  ];
}

test.each(["x", "é", "🛫", "\u0000", '"', "\ud800"])(
  "a value of the largest size in %j passes, and one byte more is refused",
  (unit) => {
    const largest = ofBytes(MESSAGE_BYTES_MAX, unit);
    expect(copyValue(largest)).toEqual(largest);
    let thrown: unknown;
    try {
      copyValue([`${largest[0]}x`]);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(OversizeError);
    expect(thrown).toMatchObject({ bytes: MESSAGE_BYTES_MAX + 1, bytesMax: MESSAGE_BYTES_MAX });
  },
);
