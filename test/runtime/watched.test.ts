/** A watched entity at its owner: who is told, and who is forgotten. */
import { expect, test } from "bun:test";
import { PUSHES_KEPT, WATCH_FORGET_MS } from "../../src/base/limits.ts";
import { TimerWheel } from "../../src/base/timer-wheel.ts";
import type { EntityNote } from "../../src/protocol/note.ts";
import type { NodeContext } from "../../src/runtime/node-context.ts";
import { WatchedEntity, type WatchedHome } from "../../src/runtime/watched.ts";
import { FakeClock } from "../base/fake-clock.ts";

const WATCH = { kind: "watch", entity: "room", id: "a", call: 1, era: "", after: 0 } as const;

/** A watched entity, its surroundings, and what it has told. */
function made() {
  const clock = new FakeClock();
  const told: [to: string, note: EntityNote][] = [];
  const gone = new Set<string>();
  const full = new Set<string>();
  const view = { isGone: (node: string) => gone.has(node) };
  const idleWheel = new TimerWheel(clock, 500);
  const home: WatchedHome = {
    context: { view, idleWheel } as unknown as NodeContext,
    hasRoom: (to) => !full.has(to),
    tell: (to, note) => void told.push([to, note]),
  };
  const table = new Map<string, WatchedEntity>();
  const watched = new WatchedEntity(home, table, { entity: "room", id: "a", era: "e", last: 7 });
  const push = (chars = 1): void => watched.push([{ message: { chars }, charsMax: chars }]);
  const watchers = (): unknown => watched.rows()[1]![3];
  return { clock, idleWheel, told, gone, full, table, watched, push, watchers };
}

test("who does not say that it still watches is forgotten, and who is gone", () => {
  const { clock, gone, table, watched, watchers } = made();
  for (const node of ["n1", "n2", "n3"]) watched.watch(node, WATCH);
  clock.advance(WATCH_FORGET_MS - 1_000);
  for (const node of ["n1", "n3"]) expect(watched.renew(node)).toBe(true);
  expect(watched.renew("n4")).toBe(false);
  gone.add("n3");
  clock.advance(2_000);
  expect(watchers()).toEqual(["n1"]);
  clock.advance(WATCH_FORGET_MS);
  expect(table.size).toBe(0);
  expect(watchers()).toEqual([]);
  expect(clock.timerCount).toBe(0);
});

test("what is kept is bounded, and one that is large is kept alone", () => {
  const { watched, push, told } = made();
  const kept = (): number => (watched.rows()[1]![4] as unknown[]).length;
  for (let n = 0; n < PUSHES_KEPT + 10; n++) push();
  expect(kept()).toBe(PUSHES_KEPT);
  push(1_000_000);
  expect(kept()).toBe(1);
  push();
  push();
  expect(kept()).toBe(2);
  watched.watch("n1", { ...WATCH, era: "e", after: 10 });
  const last = 7 + PUSHES_KEPT + 13;
  expect(told.shift()?.[1]).toMatchObject({ kind: "watched", era: "e", after: last - 2, last });
  expect(told.map(([, note]) => "number" in note && note.number)).toEqual([last - 1, last]);
});

test("who has no room is told later what is still kept, and others at once", () => {
  const { watched, push, told, full } = made();
  for (const node of ["n1", "n2"]) watched.watch(node, WATCH);
  told.length = 0;
  full.add("n1");
  for (let n = 0; n < 3; n++) push();
  expect(told.map(([to]) => to)).toEqual(["n2", "n2", "n2"]);
  full.clear();
  watched.pump();
  const late = told.slice(3).map(([to, note]) => [to, "number" in note && note.number]);
  expect(late).toEqual([
    ["n1", 8],
    ["n1", 9],
    ["n1", 10],
  ]);
});

test("nobody is told any more once it has stopped", () => {
  const { watched, push, told, table, idleWheel } = made();
  watched.watch("n1", WATCH);
  watched.stop();
  told.length = 0;
  push();
  expect([told.length, table.size, idleWheel.size]).toEqual([0, 0, 0]);
});
