/** What the parts of a node share, at its end. */
import { expect, test } from "bun:test";
import { settingsOf } from "../../src/api/options.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { systemRandom as random } from "../../src/base/random.ts";
import { readEvent } from "../../src/api/topic.ts";
import { Topics } from "../../src/runtime/topics.ts";
import { Watches } from "../../src/runtime/watches.ts";
import { Events } from "../../src/runtime/events.ts";
import { NodeContext } from "../../src/runtime/node-context.ts";
import { Answers } from "../../src/mediator/answers.ts";
import { hosting } from "../../src/mediator/hosting.ts";
import { Singletons } from "../../src/runtime/singleton.ts";
import { FakeClock } from "../base/fake-clock.ts";

test("a node that has closed arms no timer, whatever still comes to an end on it", () => {
  const clock = new FakeClock();
  const events = new Events({ log: silentLogger, clock });
  const singletons = new Singletons({ clock, random, events, log: silentLogger });
  const topics = new Topics(silentLogger, readEvent);
  const watches = new Watches(silentLogger);
  const former = new Set<string>();
  const shared = { clock, random, events, singletons, topics, watches, former };
  const answers = new Answers(topics, clock);
  const settings = hosting(settingsOf({ transport: "memory" }, random), { topics, answers });
  const context = new NodeContext({ ...settings, ...shared }, "n.1");
  let runs = 0;
  // Looks at a shard again for as long as there is no lease: after the end there never is one.
  const look = (): void => {
    runs++;
    context.after(200, look);
  };
  context.after(200, look);
  clock.advance(400);
  expect(runs).toBe(2);
  context.close();
  expect(clock.timerCount).toBe(0);
  look();
  expect(clock.timerCount).toBe(0);
  clock.advance(1_000);
  expect(runs).toBe(3);
});
