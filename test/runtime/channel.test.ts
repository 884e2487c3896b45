/** A channel whose shard changes its owner while messages travel. */
import { expect, test } from "bun:test";
import { TimerWheel } from "../../src/base/timer-wheel.ts";
import type { Route } from "../../src/runtime/channel.ts";
import { Channel } from "../../src/runtime/channel.ts";
import { Calls, RemoteCall } from "../../src/runtime/remote-call.ts";
import { World } from "../../src/testing/world.ts";

const FIRST = { owner: "a", epoch: 1, cleanSince: 1, handoff: null };

/** A channel to a shard that `peer` has, and what becomes of its messages. */
function channelTo(peer: object) {
  const clock = new World(1).clockOf("n1");
  const calls = new Calls(new TimerWheel(clock, 8));
  const counter = { channel: 0, last: 1 };
  const ran: number[] = [];
  const state = { route: route(peer, FIRST) };
  const channel = new Channel("g", 7, {
    context: { clock, after: () => () => {} } as never,
    route: () => state.route,
    deliverHere: (call) => void ran.push(call.sequence),
    counterHere: () => counter,
  });
  const subject = { entity: "e", id: "1", type: "add", message: {}, oneWay: false };
  const sending = {
    ...subject,
    timeoutMs: 1_000,
    boundMs: 1e9,
    signal: undefined,
    dedup: undefined,
  };
  return { channel, state, ran, counter, call: () => new RemoteCall(sending, {}, calls) };
}

/** A node that takes everything in, and what it was sent. */
function node() {
  const got: RemoteCall[] = [];
  return { got, hasRoom: true, addMessage: (call: RemoteCall) => void got.push(call) };
}

function route(peer: object | "here", record: typeof FIRST): Route {
  return { to: peer, record } as Route;
}

test("what a node runs itself counts, so a late frame cannot run it once more (M1)", () => {
  const peer = node();
  const { channel, state, ran, counter, call } = channelTo(peer);
  for (let n = 0; n < 3; n++) channel.push(call());
  // The shard comes here; its last owner had accepted the first of the three.
  state.route = route("here", { ...FIRST, epoch: 2 });
  channel.pump();
  expect(ran).toEqual([2, 3]);
  expect(counter.last).toBe(3);
  // It goes away again: the next message has the next number.
  state.route = route(peer, { ...FIRST, epoch: 3 });
  const next = call();
  channel.push(next);
  channel.pump();
  expect(next.sequence).toBe(4);
});

test("what the owner before the last one may have run is not sent again after a claim (M3)", () => {
  const [first, second] = [node(), node()];
  const { channel, state, call } = channelTo(first);
  const [sent, refused] = [call(), call()];
  for (const each of [sent, refused]) channel.push(each);
  // The first owner did not accept the second message, and nobody knows of the first one.
  const note = { kind: "redirect", group: "g", shard: 7, channel: 0, entry: undefined } as const;
  const refuse = (sequence: number, by: object): void =>
    channel.redirected({ ...note, sequence, frame: 0, retryMs: 0 }, by as never);
  refuse(refused.sequence, first);
  // A handoff; the second owner accepts neither, dies, and a third one claims the shard.
  state.route = route(second, { ...FIRST, epoch: 2 });
  channel.pump();
  expect(second.got).toEqual([sent, refused]);
  refuse(sent.sequence, second);
  const third = node();
  state.route = route(third, { ...FIRST, epoch: 3, cleanSince: 3 });
  channel.pump();
  expect(sent.isSettled).toBe(true);
  expect(third.got).toEqual([refused]);
});
