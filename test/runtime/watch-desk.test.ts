/** What a node answers to notes about watches which it did not expect, and to refusals. */
import { expect, test } from "bun:test";
import { SEAL_RETRY_MS, WATCHED_MAX } from "../../src/base/limits.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { TimerWheel } from "../../src/base/timer-wheel.ts";
import type { EntityNote } from "../../src/protocol/note.ts";
import type { NodeContext } from "../../src/runtime/node-context.ts";
import { OwnedShard, type ShardHome } from "../../src/runtime/owned-shard.ts";
import type { Router } from "../../src/runtime/router.ts";
import { WatchDesk } from "../../src/runtime/watch-desk.ts";
import { Watches } from "../../src/runtime/watches.ts";
import { FakeClock } from "../base/fake-clock.ts";

const ROOM = { entity: "room", id: "a" } as const;
const WATCH = { kind: "watch", ...ROOM, call: 1, era: "", after: 0 } as const;
const UNKNOWN = { kind: "watched", ...ROOM, call: 0, era: "", after: 0, last: 0 } as const;

/** A desk of "n1", which serves one shard, among nodes that live; and what it has told them. */
function made() {
  const clock = new FakeClock();
  const watches = new Watches(silentLogger);
  const notes: EntityNote[] = [];
  const context = {
    clock,
    idleWheel: new TimerWheel(clock, 500),
    options: { watches },
    refusal: undefined,
    self: "n1",
    view: { isAlive: () => true, isGone: () => false },
    after: (delayMs: number, run: () => void) => clock.after(delayMs, run),
    recordOf: () => ({ owner: "n2" }),
    shardOf: () => 0,
  } as unknown as NodeContext;
  const shard = new OwnedShard(0, { context } as unknown as ShardHome);
  const peer = { takesNews: true, outbox: () => ({ notes }) };
  const exits = { serving: () => shard, peerOf: () => peer };
  const router = { hosts: new Map([["room", {}]]), exits } as unknown as Router;
  const desk = new WatchDesk(context, router);
  /** What was told since it was asked last. */
  const told = (): EntityNote[] => notes.splice(0);
  return { clock, desk, shard, told, watches };
}

test("who tells what nobody watches here is told to stop", () => {
  const { desk, told, watches } = made();
  const pushed = { kind: "pushed", ...ROOM, era: "e", number: 1, message: {} } as const;
  desk.noted("n2", pushed);
  expect(told()).toEqual([{ kind: "unwatch", ...ROOM }]);
  watches.add(ROOM, () => {});
  desk.noted("n2", pushed);
  expect(told()).toEqual([]);
});

test("who says that it still watches what this node does not know of has to ask again", () => {
  const { desk, told } = made();
  const watching = { kind: "watching", ...ROOM } as const;
  desk.noted("n2", watching);
  expect(told()).toEqual([UNKNOWN]);
  desk.noted("n2", WATCH);
  expect(told()).toMatchObject([{ kind: "watched", call: 1 }]);
  desk.noted("n3", watching);
  expect(told()).toEqual([UNKNOWN]);
  desk.noted("n2", watching);
  expect(told()).toEqual([]);
});

test("a shard has so many watched entities, and refuses one more", () => {
  const { desk, shard, told } = made();
  for (let n = 0; n < WATCHED_MAX; n++) desk.noted("n2", { ...WATCH, id: `a${n}` });
  told();
  desk.noted("n2", WATCH);
  expect(told()).toEqual([UNKNOWN]);
  // Those that are there may be watched by more.
  desk.noted("n3", { ...WATCH, id: "a0" });
  expect(told()).toMatchObject([{ kind: "watched", id: "a0", call: 1 }]);
  expect(shard.watched.size).toBe(WATCHED_MAX);
});

test("watches that were refused ask again after a while, all at once", () => {
  const { clock, desk, told, watches } = made();
  for (const id of ["a", "b"]) watches.add({ entity: "room", id }, () => {});
  clock.advance(1);
  expect(told().map(({ kind, id }) => `${kind} ${id}`)).toContain("watch a");
  const before = clock.timerCount;
  for (const id of ["a", "b"]) desk.noted("n2", { ...UNKNOWN, id });
  expect(clock.timerCount).toBe(before + 1);
  clock.advance(SEAL_RETRY_MS - 1);
  expect(told()).toEqual([]);
  clock.advance(1);
  const again = told();
  expect(again.map(({ kind, id }) => `${kind} ${id}`)).toEqual(["watch a", "watch b"]);
  // Not for ever: they were not refused again.
  clock.advance(SEAL_RETRY_MS);
  expect(told()).toEqual([]);
});

test("a shard that belongs to another node tells nobody any more, and keeps nothing", () => {
  const { desk, shard, told } = made();
  desk.noted("n2", WATCH);
  const [watched] = shard.watched.values();
  told();
  shard.close();
  watched!.push([{ message: {}, charsMax: 2 }]);
  expect(told()).toEqual([]);
  expect([shard.watched.size, desk.context.idleWheel.size]).toEqual([0, 0]);
  desk.noted("n2", { kind: "watching", ...ROOM });
  expect(told()).toEqual([UNKNOWN]);
});
