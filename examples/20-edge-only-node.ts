/**
 * A node for the way in alone: it hosts no entities, so it may come and go as the traffic does. The
 * entities live in another process, which nobody outside can reach.
 *
 * `npx bun examples/20-edge-only-node.ts` prints:
 *
 *     edge: hosts nothing, its neighbour is back
 *     POST /entities/ticket/t-1/take   taken by ada, on back
 *     POST /entities/ticket/t-1/take   taken by ada, on back
 *     the edge has left, and back hosts on
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { createClient } from "../src/client/index.ts";
import { command, defineContract } from "../src/contract/index.ts";
import { gateway, listen } from "../src/http/index.ts";
import { Cluster } from "../src/index.ts";

const Ticket = defineContract("ticket", {
  take: command<{ by: string }, { owner: string; node: string }>(),
});

const [, program = "", given] = process.argv;
const name = given ?? `tickets-${process.pid}`;
if (given === undefined) await runEdge();
else await runBack();

/** The process that is asked: it knows the contract, and no handler. */
async function runEdge(): Promise<void> {
  const back = fork(program, [name]);
  await once(back, "message");
  const cluster = await Cluster.start({ name, nodeId: "edge" });
  const others = cluster.nodes.filter(({ node }) => node !== cluster.nodeId);
  console.log(`edge: hosts nothing, its neighbour is ${others.map(({ node }) => node).join()}`);
  const { url, close } = await listen(gateway(cluster, { expose: [Ticket] }), { port: 0 });

  const api = createClient({ url, retries: 5 });
  for (const by of ["ada", "bob"]) {
    const { owner, node } = await api.entity(Ticket, "t-1").send({ type: "take", by });
    console.log(`POST /entities/ticket/t-1/take   taken by ${owner}, on ${node}`);
  }

  await close();
  await cluster.stop();
  back.send("count");
  const [count] = (await once(back, "message")) as [number];
  console.log(`the edge has left, and back hosts on${count === 1 ? "" : `: ${count} nodes`}`);
  back.send("stop");
  await once(back, "exit");
}

/** The process behind: nothing listens there but for its cluster. */
async function runBack(): Promise<void> {
  const TicketEntity = Ticket.implement({
    state: () => ({ owner: undefined as string | undefined }),
    handlers: { take: ({ state, node }, { by }) => ({ owner: (state.owner ??= by), node }) },
  });
  const cluster = await Cluster.start({ name, nodeId: "back", entities: [TicketEntity] });
  process.send?.("ready");
  while ((await nextOrder()) === "count") process.send?.(cluster.nodes.length);
  await cluster.stop();
  process.disconnect();
}

async function nextOrder(): Promise<unknown> {
  const [order] = await once(process, "message");
  return order;
}
