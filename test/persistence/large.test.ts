/** An entity that is stored, and too large to travel. */
import { afterEach, expect, test } from "bun:test";
import { memory } from "../../src/drivers/memory/index.ts";
import { memoryStore } from "../../src/drivers/memory/store.ts";
import { Cluster, command, defineEntity, query } from "../../src/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { stopAll, stopped } from "../drivers/nodes.ts";

afterEach(stopAll);

const Bulky = defineEntity("bulky", {
  messages: { grow: command<void, number>(), size: query<void, number>() },
  persistence: "write-through",
  state: () => ({ text: "" }),
  handlers: {
    grow: ({ state }) => (state.text += "x".repeat(3 * 1_048_576)).length,
    size: ({ state }) => state.text.length,
  },
});

test("an entity that is too large to travel is read by its next owner", async () => {
  const transport = memory();
  const options = { shardCount: 8, transport, store: memoryStore(), entities: [Bulky] } as const;
  const first = await stopped(Cluster.start({ ...options, nodeId: "n1" }));
  const ids = Array.from({ length: 6 }, (_, n) => `b-${n}`);
  const stuck: string[] = [];
  first.on("stuck", ({ what }) => stuck.push(what));
  for (const id of ids) await first.entity("bulky", id).send({ type: "grow" });
  const second = await stopped(Cluster.start({ ...options, nodeId: "n2" }));
  const owners = () => new Set(ids.map((id) => second.owner("bulky", id)?.node));
  await waitUntil("both own some", () => owners().size === 2 && !owners().has(undefined));
  await first.stop();
  for (const id of ids) {
    expect(await second.entity("bulky", id).send({ type: "size" })).toBe(3 * 1_048_576);
  }
  expect(stuck).toEqual([]);
});
