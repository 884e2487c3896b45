/** The cluster's contract on watches: what an entity pushes comes to who watches it. */
import { deepEqual, equal } from "node:assert/strict";
import type { WatchEvent } from "../../src/index.ts";
import type { Check } from "./check.ts";
import { type ClusterFixture, inWorld, Probe } from "./probes.ts";
import { waitUntil } from "./wait-until.ts";

const COUNT = 200;

/** See the file's header. */
export const watchChecks: readonly Check<ClusterFixture>[] = [
  {
    name: "what an entity pushes comes once and in order to who watches it, here as elsewhere",
    run: (fixture) =>
      inWorld(fixture, async ({ first, second, id }) => {
        for (const where of ["local", "remote"] as const) {
          const room = id("probe", where);
          const heard = [first, second].map((node) => {
            const events: WatchEvent[] = [];
            node.watch(Probe, room, (event) => void events.push(event));
            return events;
          });
          await waitUntil("both watch", () => heard.every(({ length }) => length === 1));
          const ref = second.entity("probe", room);
          for (let n = 0; n < COUNT; n++) {
            // Now and then a large one, which must not be overtaken by the small ones behind it.
            const text = n % 100 === 50 ? { text: "x".repeat(300_000) } : {};
            equal(await ref.send({ type: "push", n, ...text }), n);
          }
          await waitUntil("both have heard", () =>
            heard.every(({ length }) => length === COUNT + 1),
          );
          for (const [mark, ...events] of heard) {
            equal(mark?.missed, false);
            const numbers = events.map(({ message }) => message?.["n"]);
            deepEqual(numbers, [...numbers.keys()]);
            equal(events[50]?.message?.["text"], "x".repeat(300_000));
          }
        }
      }),
  },
  {
    name: "a watch goes on where another one has ended, on another node",
    run: (fixture) =>
      inWorld(fixture, async ({ first, second, id }) => {
        for (const where of ["local", "remote"] as const) {
          const room = id("probe", where);
          const events: WatchEvent[] = [];
          const hear = (event: WatchEvent): void => void events.push(event);
          const end = first.watch(Probe, room, hear);
          await waitUntil("it has begun", () => events.length === 1);
          const ref = second.entity("probe", room);
          await ref.send({ type: "push", n: 1 });
          await waitUntil("it has heard", () => events.length === 2);
          end();
          await ref.send({ type: "push", n: 2 });
          await ref.send({ type: "push", n: 3 });
          second.watch(Probe, room, hear, { after: events[1]!.id });
          await waitUntil("the other one has heard the rest", () => events.length === 5);
          const given = events.map(({ message, missed }) => message?.["n"] ?? missed);
          deepEqual(given, [false, 1, false, 2, 3]);
        }
      }),
  },
];
