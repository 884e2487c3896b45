/** How long the tries of one call may take, each of them and all together. */
import { expect, test } from "bun:test";
import { defineEntity, isCatgaError, query } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { failureOf } from "../drivers/nodes.ts";

const Mute = defineEntity("mute", {
  messages: { ask: query<void, number>() },
  state: () => null,
  handlers: { ask: () => new Promise<number>(() => {}) },
});

const cases = [
  [undefined, 4_000],
  ["1500ms", 1_500],
  ["700ms", 700],
] as const;

test.each(cases)("all tries of a reference end within %p", async (within, leastMs) => {
  await using cluster = await TestCluster.start({ entities: [Mute], nodes: 1, seed: 1 });
  const mute = cluster.node("n1").entity(Mute, "a");
  const beganMs = cluster.nowMs;
  const bound = within === undefined ? {} : { within };
  const asked = mute.send({ type: "ask" }, { timeout: "1s", retries: 3, ...bound });
  const failure = await cluster.run(failureOf(asked));
  expect(isCatgaError(failure, "CALL_TIMEOUT") && failure.executed).toBe("maybe");
  const tookMs = cluster.nowMs - beganMs;
  expect(tookMs).toBeGreaterThanOrEqual(leastMs);
  // Pauses between them, where nothing else bounds them.
  expect(tookMs).toBeLessThan(leastMs + (within === undefined ? 5_000 : 100));
});
