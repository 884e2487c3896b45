/** What a node tells of what waits: how much at a time, how often, and how late its loop is. */
import { expect, test } from "bun:test";
import { silentLogger } from "../../src/base/logger.ts";
import { Events } from "../../src/runtime/events.ts";
import { Progress } from "../../src/runtime/progress.ts";
import { FakeClock } from "../base/fake-clock.ts";

/** Ticks each second. */
function start() {
  const clock = new FakeClock();
  const events = new Events({ log: silentLogger, clock });
  const progress = new Progress(clock, events);
  const stuck: string[] = [];
  events.on("stuck", ({ what }) => stuck.push(what));
  const pass = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second++) {
      clock.advance(1_000);
      progress.tick(1_000);
    }
    await Promise.resolve();
  };
  return { clock, progress, stuck, pass };
}

test("a hundred are told of at a time, the oldest, and each once while it lasts", async () => {
  const { clock, progress, stuck, pass } = start();
  const turns = progress.list<string, void>("turn", ({ subject }) => subject);
  const stores = progress.list<string, void>("store", ({ subject }) => subject);
  const waits = Array.from({ length: 90 }, (_, n) => turns.begin(`turn ${n}`, undefined, 0));
  clock.advance(1_000);
  for (let n = 0; n < 90; n++) stores.begin(`store ${n}`, undefined, 1_000);
  await pass(40);
  expect(stuck.length).toBe(100);
  expect(stuck.filter((what) => what.startsWith("turn")).length).toBe(90);
  expect(progress.overdue.length).toBe(100);
  for (const wait of waits) turns.end(wait);
  await pass(2);
  expect([stuck.length, new Set(stuck).size]).toEqual([180, 180]);
  expect(progress.overdue.length).toBe(90);
  turns.begin("turn 0", undefined, clock.nowMs());
  await pass(32);
  expect(stuck.slice(180)).toEqual(["turn 0 for 30 s"]);
});

test("how late the loop is shows before it has ticked", async () => {
  const { clock, progress, pass } = start();
  expect(progress.lagMs).toBe(0);
  await pass(3);
  expect(progress.lagMs).toBe(0);
  clock.advance(1_700);
  expect(progress.lagMs).toBe(700);
  progress.tick(1_000);
  await pass(1);
  expect(progress.lagMs).toBe(700);
  await pass(3);
  expect(progress.lagMs).toBe(0);
});
