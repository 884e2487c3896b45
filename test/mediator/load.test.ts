/** What a node reports of itself while its handlers are busy. */
import { expect, test } from "bun:test";
import { Cluster, defineCommand, handler } from "../../src/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";

test("a node reports the calls that its handlers have under way", async () => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const Slow = defineCommand("tests.slow");
  const handlers = [handler(Slow, () => gate)];
  await using cluster = await Cluster.start({ transport: "memory", handlers });
  const inFlight = (): number | undefined => cluster.nodes[0]?.inFlight;
  expect(inFlight()).toBe(0);
  const calls = Promise.all([Slow(), Slow(), Slow()].map((each) => cluster.send(each)));
  // At first what they found when they came, on average; then what there is.
  await waitUntil("it reports three", () => inFlight() === 3);
  open();
  await calls;
  await waitUntil("it reports none", () => inFlight() === 0);
});
