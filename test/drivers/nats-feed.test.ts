/** The changes of a bucket: in order, each once, and whatever is lost shows. */
import { expect, test } from "bun:test";
import { headers, type Msg } from "@nats-io/transport-node";
import { Feed } from "../../src/drivers/nats/feed.ts";
import { FakeClock } from "../base/fake-clock.ts";

const GENERATION = 7;

class Listener {
  readonly clock = new FakeClock();
  readonly heard: number[] = [];
  breaks = 0;
  readonly feed: Feed;

  constructor() {
    this.feed = new Feed("c.kv.", this.clock, {
      changed: ({ revision }) => this.heard.push(revision),
      broken: () => (this.breaks += 1),
    });
  }

  receive(revision: number, generation: number = GENERATION): void {
    const value = { key: "i.a", value: { incarnation: "x" }, operation: `${revision}` };
    const head = headers();
    head.set("Nats-Sequence", String(revision));
    const data = new TextEncoder().encode(JSON.stringify(value));
    this.feed.receive({ subject: `c.kv.${generation}.i.a`, data, headers: head } as Msg);
  }
}

test("what was kept is told from the followed revision on, in order", () => {
  const all = new Listener();
  for (const revision of [5, 3, 4, 6]) all.receive(revision);
  expect(all.heard).toEqual([]);
  all.feed.follow(GENERATION, 3);
  expect([all.heard, all.breaks, all.feed.revision]).toEqual([[4, 5, 6], 0, 6]);
});

test("a change that was overtaken is told in its place, and one that came twice once", () => {
  const all = new Listener();
  all.feed.follow(GENERATION, 0);
  for (const revision of [1, 3, 3, 4, 2, 2, 5]) all.receive(revision);
  expect(all.heard).toEqual([1, 2, 3, 4, 5]);
  all.clock.advance(10_000);
  expect(all.breaks).toBe(0);
});

test("a change that does not come breaks the feed, once, until it is followed again", () => {
  const all = new Listener();
  all.feed.follow(GENERATION, 0);
  for (const revision of [1, 3]) all.receive(revision);
  all.clock.advance(50);
  all.receive(4);
  expect(all.breaks).toBe(0);
  all.clock.advance(60);
  expect(all.breaks).toBe(1);
  all.receive(5);
  all.clock.advance(10_000);
  expect([all.heard, all.breaks]).toEqual([[1], 1]);
  all.feed.follow(GENERATION, 4);
  expect(all.heard).toEqual([1, 5]);
});

test("a bucket that was made later breaks the feed; who writes for one before is not heard", () => {
  const all = new Listener();
  all.feed.follow(GENERATION, 0);
  all.receive(1, GENERATION - 1);
  all.receive(2);
  expect(all.heard).toEqual([2]);
  all.receive(1, GENERATION + 1);
  expect(all.breaks).toBe(1);
});

test("heard() resolves when the change was told, and not before", async () => {
  const all = new Listener();
  all.feed.follow(GENERATION, 0);
  let isHeard = false;
  const hearing = all.feed.heard(2).then(() => (isHeard = true));
  all.receive(2);
  await Promise.resolve();
  expect(isHeard).toBe(false);
  all.receive(1);
  await hearing;
  await all.feed.heard(1);
});
