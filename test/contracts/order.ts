/** The cluster's contract on order: what one sender sends to one entity arrives once, in order. */
import { deepEqual, equal } from "node:assert/strict";
import type { Check } from "./check.ts";
import { type ClusterFixture, inWorld } from "./probes.ts";

const COUNT = 600;

/** See the file's header. */
export const orderChecks: readonly Check<ClusterFixture>[] = [
  {
    name: "messages of one sender to one entity arrive once and in order, sent or told",
    run: (fixture) =>
      inWorld(fixture, async ({ first, second, id }) => {
        const ids = [id("probe", "local"), id("probe", "remote"), id("probe", "remote")];
        const sendings: Promise<unknown>[] = [];
        for (let n = 0; n < COUNT; n++) {
          for (const node of [first, second]) {
            // Now and then a large one, which must not be overtaken by the small ones behind it.
            const filler = n % 100 === 50 ? "x".repeat(300_000) : "";
            const message = { type: "append", from: node.nodeId, n, filler } as const;
            for (const each of ids) {
              const ref = node.entity("probe", each);
              sendings.push(n % 3 === 0 ? ref.tell(message) : ref.send(message));
            }
          }
          if (n % 50 === 0) await Promise.all(sendings);
        }
        await Promise.all(sendings);
        for (const each of ids) {
          const log = await first.entity("probe", each).send({ type: "log" });
          for (const { nodeId: from } of [first, second]) {
            const own = log.filter((line) => line.startsWith(`${from}/`));
            deepEqual(
              own,
              Array.from({ length: COUNT }, (_, n) => `${from}/${n}`),
            );
          }
          equal(log.length, 2 * COUNT);
        }
      }),
  },
  {
    name: "answers come to the calls they belong to",
    run: (fixture) =>
      inWorld(fixture, async ({ probe }) => {
        const refs = (["local", "remote"] as const).flatMap((where) => [
          probe(where),
          probe(where),
        ]);
        const calls = Array.from({ length: 400 }, (_, n) =>
          refs[n % refs.length]!.send({ type: "echo", value: { n } }),
        );
        const expected = Array.from({ length: 400 }, (_, n) => ({ n }));
        deepEqual(await Promise.all(calls), expected);
      }),
  },
];
