/** The id of a node that lives, in simulated time. */
import { expect, test } from "bun:test";
import { TestCluster } from "../../src/testing/index.ts";
import { Counter } from "../drivers/nodes.ts";

test("it is taken, which shows by the next heartbeat", async () => {
  await using cluster = await TestCluster.start({
    entities: [Counter],
    nodes: 1,
    heartbeat: "normal",
  });
  const joined = cluster.join("n1").then(
    () => "it joined",
    (error: unknown) => error,
  );
  expect(await joined).toMatchObject({ code: "NODE_ID_TAKEN", details: { node: "n1" } });
  expect(cluster.nowMs).toBeLessThan(2_000);
  const answer = cluster.node("n1").entity("counter", "a").send({ type: "count" });
  expect(await cluster.run(answer)).toEqual({ count: 1, node: "n1" });
});
