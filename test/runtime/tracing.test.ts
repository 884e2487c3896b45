/** What a trace adds to a message on its way is counted, so that frames keep their limit. */
import { expect, test } from "bun:test";
import { TimerWheel } from "../../src/base/timer-wheel.ts";
import { extrasValue } from "../../src/protocol/frame.ts";
import { Calls } from "../../src/runtime/remote-call.ts";
import { callAway } from "../../src/runtime/work.ts";
import { FakeClock } from "../base/fake-clock.ts";

test("a call is as long as it says, with the longest trace", () => {
  const calls = new Calls(new TimerWheel(new FakeClock(), 8));
  const trace = {
    traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01`,
    tracestate: '"'.repeat(512),
  };
  const sending = {
    entity: "account",
    id: "1",
    type: "look",
    message: { type: "look" },
    oneWay: false,
    timeoutMs: undefined,
    boundMs: Number.POSITIVE_INFINITY,
    signal: undefined,
    dedup: undefined,
    trace,
  };
  const call = callAway(sending, sending.message, calls);
  const text = JSON.stringify([call.message, extrasValue(call)]);
  expect(call.charsMax).toBeGreaterThanOrEqual(text.length);
});
