/** The cluster's contract on topics: events come to those who listen, in order, once. */
import { deepEqual, equal } from "node:assert/strict";
import type { Check } from "./check.ts";
import { type ClusterFixture, inWorld, Written } from "./probes.ts";
import { waitUntil } from "./wait-until.ts";

const COUNT = 300;

/** See the file's header. */
export const topicChecks: readonly Check<ClusterFixture>[] = [
  {
    name: "events of one publisher come once and in order, here as elsewhere",
    run: (fixture) =>
      inWorld(fixture, async ({ first, second }) => {
        const nodes = [first, second];
        const heard = nodes.map((node) => {
          const lines: string[] = [];
          node.subscribe(Written, ({ by, n }) => void lines.push(`${by}/${n}`));
          return lines;
        });
        for (let n = 0; n < COUNT; n++) {
          // Now and then a large one, which must not be overtaken by the small ones behind it.
          const text = n % 100 === 50 ? "x".repeat(300_000) : "";
          for (const node of nodes) await node.publish(Written({ by: node.nodeId, n, text }));
        }
        await waitUntil("everybody has heard", () =>
          heard.every(({ length }) => length === nodes.length * COUNT),
        );
        for (const lines of heard) {
          for (const { nodeId } of nodes) {
            const own = lines.filter((line) => line.startsWith(`${nodeId}/`));
            const expected = Array.from({ length: COUNT }, (_, n) => `${nodeId}/${n}`);
            deepEqual(own, expected);
          }
        }
      }),
  },
  {
    name: "an event comes to the entity that it is for, from a node and from a turn",
    run: (fixture) =>
      inWorld(fixture, async ({ first, second, id }) => {
        for (const where of ["local", "remote"] as const) {
          const reader = id("reader", where);
          const ref = first.entity("reader", reader);
          await first.publish(Written({ by: reader, n: 1 }));
          await second.publish(Written({ by: reader, n: 2 }));
          await second.entity("reader", id("reader", where)).send({ type: "write", by: reader });
          await waitUntil("the entity has read it", async () => {
            const read = await ref.send({ type: "read" });
            return read.length === 3;
          });
          const read = await ref.send({ type: "read" });
          deepEqual(
            read.toSorted((a, b) => a - b),
            [1, 2, 3],
          );
          equal(first.owner("reader", reader)?.node === first.nodeId, where === "local");
        }
      }),
  },
];
