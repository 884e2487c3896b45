/** A channel whose shard comes home while its messages travel. */
import { expect, test } from "bun:test";
import { TimerWheel } from "../../src/base/timer-wheel.ts";
import type { Route } from "../../src/runtime/channel.ts";
import { Channel } from "../../src/runtime/channel.ts";
import { Calls, RemoteCall } from "../../src/runtime/remote-call.ts";
import { World } from "../../src/testing/world.ts";

test("what a node runs itself counts, so a late frame cannot run it once more (M1)", () => {
  const clock = new World(1).clockOf("n1");
  const calls = new Calls(new TimerWheel(clock, 8));
  const owned = { revision: 1, record: { owner: "a", epoch: 1, cleanSince: 1, handoff: null } };
  const peer = { hasRoom: true, addMessage: () => {} };
  const state = { route: { kind: "elsewhere", peer, owned } as unknown as Route };
  const counter = { channel: 0, last: 1 };
  const ran: number[] = [];
  const channel = new Channel("g", 7, {
    context: { clock, after: () => () => {} } as never,
    route: () => state.route,
    deliverHere: (call) => void ran.push(call.sequence),
    counterHere: () => counter,
    waitForRoom: () => {},
  });
  const subject = { entity: "e", id: "1", type: "add", message: {}, oneWay: false };
  const sending = {
    ...subject,
    timeoutMs: 1_000,
    boundMs: 1e9,
    signal: undefined,
    dedup: undefined,
  };
  for (let n = 0; n < 3; n++) channel.push(new RemoteCall(sending, {}, calls));
  // The shard comes here; its last owner had accepted the first of the three.
  const record = { ...owned.record, epoch: 2 };
  state.route = { kind: "here", owned: { revision: 2, record } };
  channel.pump();
  expect(ran).toEqual([2, 3]);
  expect(counter.last).toBe(3);
  // It goes away again: the next message has the next number.
  state.route = {
    kind: "elsewhere",
    peer,
    owned: { revision: 3, record: { ...record, epoch: 3 } },
  } as unknown as Route;
  const next = new RemoteCall(sending, {}, calls);
  channel.push(next);
  channel.pump();
  expect(next.sequence).toBe(4);
});
