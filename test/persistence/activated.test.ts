/** The activation hook of an entity that is kept runs under a lease, as any turn does, or not. */
import { expect, test } from "bun:test";
import { command, defineEntity } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";

test("an activation hook does not run where the lease ended while the state was read", async () => {
  const ran: string[] = [];
  const Door = defineEntity("door", {
    messages: { knock: command() },
    persistence: "write-through",
    state: () => ({}),
    activated: ({ node }) => void ran.push(`${node} ${cluster.leaseHolds(node)}`),
    handlers: { knock: () => {} },
  });
  const options = { nodes: 2, shardCount: 4, heartbeat: "normal", entities: [Door] } as const;
  await using cluster = await TestCluster.start(options);
  await cluster.advance("5s");
  const ids = Array.from({ length: 8 }, (_, n) => `d-${n}`);
  const owned = ids.filter((id) => cluster.node("n1").owner("door", id)?.node === "n1");
  expect(owned).not.toEqual([]);
  cluster.store({ delay: [100, 100] });
  for (const id of owned)
    cluster
      .node("n1")
      .entity(Door, id)
      .tell({ type: "knock" })
      .catch(() => {});
  await cluster.advance("50ms");
  cluster.pause("n1");
  await cluster.advance("20s");
  const knocks = owned.map((id) => cluster.node("n2").entity(Door, id).send({ type: "knock" }));
  await cluster.run(Promise.all(knocks));
  cluster.resume("n1");
  await cluster.advance("20s");
  expect(ran.filter((each) => each.endsWith("false"))).toEqual([]);
  expect(ran.filter((each) => each.startsWith("n2"))).toHaveLength(owned.length);
});
