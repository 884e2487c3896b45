/** What handlers of messages with a key become is nothing that a user has to see. */
import { expect, test } from "bun:test";
import { defineCommand, defineEntity, handler, command } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";
import { failureOf } from "../drivers/nodes.ts";

const Place = defineCommand<{ id: string }, string>("names.place", {
  route: { strategy: "consistentHash", key: "id" },
});
const Account = defineEntity("names-account", {
  messages: { deposit: command<{ by: number }, number>() },
  state: () => ({ total: 0 }),
  handlers: { deposit: ({ state }, { by }) => (state.total += by) },
});
const handlers = [handler(Place, ({ id }, { node }) => `${id} on ${node}`)];

test("activations of keys are no events of entities", async () => {
  await using cluster = await TestCluster.start({ nodes: 1, entities: [Account], handlers });
  const node = cluster.node("n1");
  const events: string[] = [];
  node.on("entity-activated", ({ name }) => void events.push(`+${name}`));
  node.on("entity-passivated", ({ name }) => void events.push(`-${name}`));
  await cluster.run(node.send(Place({ id: "o1" })));
  await cluster.run(node.entity(Account, "a").send({ type: "deposit", by: 1 }));
  await cluster.advance("1h");
  expect(events).toEqual(["+names-account", "-names-account"]);
});

test("nodes that differ in their handlers are told the names of messages", async () => {
  await using cluster = await TestCluster.start({ nodes: 1, entities: [Account], handlers });
  const failure = (await failureOf(cluster.join("n2", { handlers: [] }))) as Error;
  expect(failure).toMatchObject({
    code: "ENTITY_SETS_DIFFER",
    details: { ours: "names-account", theirs: "names.place, names-account" },
  });
  expect(failure.message).not.toContain("@");
});
