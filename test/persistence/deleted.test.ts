/** How an activation ends that has deleted its entity. */
import { expect, test } from "bun:test";
import { command, defineEntity } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";

const Kept = defineEntity("kept", {
  messages: { end: command<void, boolean>(), ring: command() },
  persistence: "write-through",
  state: () => ({}),
  handlers: {
    async end(ctx) {
      const { signal } = ctx;
      await ctx.remind("ring", { in: "20s" }, { type: "ring" });
      await ctx.delete();
      return signal.aborted;
    },
    ring: () => {},
  },
});

test("delete() ends an activation in peace, and nobody wakes the entity later", async () => {
  await using cluster = await TestCluster.start({ nodes: 1, entities: [Kept], shardCount: 4 });
  const events: string[] = [];
  const node = cluster.node("n1");
  node.on("entity-activated", () => events.push("activated"));
  node.on("entity-passivated", ({ reason }) => events.push(reason));
  const isAborted = await cluster.run(node.entity("kept", "a").send({ type: "end" }));
  await cluster.advance("1m");
  expect(isAborted).toBe(false);
  expect(events).toEqual(["activated", "idle"]);
});
